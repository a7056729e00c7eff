// What a driver has put out since it was asked last, as text.
import type { TopologyTestDriver } from '../../src/testing/index.ts'

export const shown = (driver: TopologyTestDriver, topic = 'out'): string[] =>
  driver
    .output(topic)
    .readAll()
    .map(({ key, value }) => `${key}:${value}`)
