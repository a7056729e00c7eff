// Writes records to an internal topic by their new key. A record without a key meets nothing behind it: dropped, counted. Where
// it would be emitted all the same (a left join behind the topic), it goes to the task's own partition number.
import type { RepartitionSink } from '../topology/plan-types.ts'
import { keyToBytes, valueToBytes } from './encode.ts'
import type { Operator } from './operator.ts'

export const repartitionSink: Operator = (site) => {
  const { topic, key: keySerde, value: valueSerde, keepsNullKeys } = site.node.operator as RepartitionSink
  const dropped = site.counter('dropped')
  return {
    inputs: [
      (key, value, timestamp) => {
        if (key === null && !keepsNullKeys) dropped.n++
        else site.send(topic, null, keyToBytes(site, keySerde, key), valueToBytes(site, valueSerde, value), timestamp)
      },
    ],
  }
}
