// Which topics a source reads. A regular expression means the topics whose whole name it matches, as in Kafka Streams
// (java.util.regex `matches`): /orders/ is not every topic with "orders" somewhere in its name.
//
// 1. The user's own RegExp is never run: with the flags g or y it would remember where it stopped.

const wholes = new WeakMap<RegExp, RegExp>()

export function matchesTopic(pattern: RegExp, topic: string): boolean {
  let whole = wholes.get(pattern)
  if (whole === undefined) {
    whole = new RegExp(`^(?:${pattern.source})$`, pattern.flags.replaceAll(/[gym]/g, ''))
    wholes.set(pattern, whole)
  }
  return whole.test(topic)
}

export function readsTopic(topics: readonly string[] | string | RegExp, topic: string): boolean {
  if (topics instanceof RegExp) return matchesTopic(topics, topic)
  return typeof topics === 'string' ? topics === topic : topics.includes(topic)
}
