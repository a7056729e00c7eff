// Prints what test/base/murmur2.test.ts compares with. Run once against Kafka's own class:
//   java -cp kafka-clients-4.3.0.jar Murmur2Vectors.java
// Keys: xorshift32 from 2463534242; a key's length is the next number (unsigned) mod 97, its bytes the low bytes of the next numbers.
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.util.HexFormat;
import org.apache.kafka.common.utils.Utils;

public class Murmur2Vectors {
  static int state = (int) 2463534242L;

  static int next() {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state;
  }

  public static void main(String[] args) throws Exception {
    MessageDigest sha256 = MessageDigest.getInstance("SHA-256");
    for (int i = 0; i < 20_000; i++) {
      byte[] key = new byte[(int) (Integer.toUnsignedLong(next()) % 97)];
      for (int j = 0; j < key.length; j++) key[j] = (byte) next();
      sha256.update(ByteBuffer.allocate(4).putInt(Utils.murmur2(key)).array());
    }
    System.out.println("sha256 " + HexFormat.of().formatHex(sha256.digest()));
    String[] texts = {"", "a", "ab", "abc", "abcd", "abcde", "abcdef", "abcdefg", "21", "foobar", "a-little-bit-long-string",
      "a-little-bit-longer-string", "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", "product-1", "category-77", "\u00fc\u00df\u20ac",
      "\ud83d\ude00", "0", "\u0000", "\u0000\u0000\u0000\u0000"};
    for (String text : texts) {
      byte[] key = text.getBytes("UTF-8");
      int hash = Utils.murmur2(key);
      System.out.println(HexFormat.of().formatHex(key) + " " + hash + " " + Utils.toPositive(hash) % 7 + " " + Utils.toPositive(hash) % 48);
    }
  }
}
