// The committed records of topics up to their present ends, by the Java client: shares no code with millrace.
//   java -cp 'lib/*' CommittedReader.java BROKERS TOPIC...
// Prints `topic partition offset timestamp key value` a line, key and value in base64, `-` for null; in the order of each partition.
import java.io.PrintWriter;
import java.time.Duration;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public class CommittedReader {
  public static void main(String[] args) {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", args[0]);
    properties.put("isolation.level", "read_committed");
    properties.put("enable.auto.commit", "false");
    properties.put("auto.offset.reset", "none");
    long deadline = System.nanoTime() + Duration.ofSeconds(60).toNanos();
    try (var consumer = new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        var out = new PrintWriter(System.out)) {
      List<TopicPartition> all =
          Arrays.stream(args).skip(1).flatMap(topic -> consumer.partitionsFor(topic).stream())
              .map(p -> new TopicPartition(p.topic(), p.partition())).toList();
      consumer.assign(all);
      consumer.seekToBeginning(all);
      Map<TopicPartition, Long> ends = consumer.endOffsets(all); // the last stable offsets
      while (all.stream().anyMatch(p -> consumer.position(p) < ends.get(p))) {
        if (System.nanoTime() > deadline) throw new IllegalStateException(all + " was not read within a minute");
        for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofMillis(200)))
          out.println(r.topic() + " " + r.partition() + " " + r.offset() + " " + r.timestamp() + " " + text(r.key()) + " " + text(r.value()));
      }
    }
  }

  static String text(byte[] bytes) {
    return bytes == null ? "-" : Base64.getEncoder().encodeToString(bytes);
  }
}
