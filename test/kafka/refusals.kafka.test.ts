// Topics that change under an application, while it runs or while it is down: it ends, or does not start, with one line that names the
// topic and says what to do; what it had committed stays, and it never goes on from another place by itself.
import { Admin, ConfigResourceTypes, IncrementalAlterConfigOperationTypes } from '@platformatic/kafka'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { TopicPartition } from '../../src/base/record.ts'
import { type RunningKafka, startKafka } from './broker.ts'
import { type Fleet, type Instance, openFleet, SHORT, SHORT_BROKER, sleep } from './fleet.ts'
import { KAFKA } from './running.ts'

const PATIENCE_MS = 60_000
const QUIET_MS = 1_000

describe.runIf(KAFKA)('topics that change', { timeout: 180_000 }, () => {
  let kafka: RunningKafka
  let admin: Admin
  let fleet: Fleet | undefined
  let cases = 0
  beforeAll(async () => {
    kafka = await startKafka({ config: SHORT_BROKER })
    admin = new Admin({ clientId: 'test', bootstrapBrokers: [kafka.brokers] })
  }, 180_000)
  afterEach(() => fleet?.close(), 120_000)
  afterAll(async () => {
    await admin?.close()
    await kafka?.stop()
  }, 60_000)

  /** An instance that has committed something. */
  async function atWork(): Promise<{ fleet: Fleet; instance: Instance; events: string; app: string }> {
    const prefix = `c${++cases}-`
    const limits = { ...SHORT, topicLookMs: 1_000 }
    fleet = await openFleet({ brokers: kafka.brokers, prefix, commitInterval: '100ms', partitions: 2, eventsPerSecond: 100, limits })
    const instance = fleet.start('one')
    await instance.ready
    await sleep(500)
    await fleet.passed(await fleet.marks(), PATIENCE_MS)
    return { fleet, instance, events: `${prefix}events`, app: fleet.applicationId }
  }

  async function ends(instance: Instance): Promise<string> {
    const late = sleep(PATIENCE_MS).then(() => 'it still runs')
    const ended = await Promise.race([instance.ended, late])
    expect(ended, instance.said()).toEqual({ code: 1, signal: null })
    return instance.said().trim().split('\n').at(-1) as string
  }

  const both = (topic: string): TopicPartition[] => [0, 1].map((partition) => ({ topic, partition }))

  async function deleteRecords(of: Fleet, topic: string, keep: number): Promise<void> {
    const offsets = await of.log.offsets(both(topic), 'latest')
    const partitions = offsets.map((end, partition) => ({ partition, offset: BigInt(Math.max(0, end - keep)) }))
    await admin.deleteRecords({ topics: [{ name: topic, partitions }] })
  }

  test('an input that got more partitions ends it, and keeps it from starting', async () => {
    const { fleet, instance, events } = await atWork()
    await admin.createPartitions({ topics: [{ name: events, count: 4, assignments: null }] })
    expect(await ends(instance)).toMatch(new RegExp(`topic ${events} had 2 partitions at the start and has 4 now.*start again`))
    expect(await ends(fleet.start('one'))).toMatch(new RegExp(`has 2 partitions, 4 are needed.*${events} \\(4\\).*begin anew`))
  })

  test('an input that is deleted ends it, and keeps it from starting', async () => {
    const { fleet, instance, events } = await atWork()
    await fleet.log.deleteTopics([events])
    expect(await ends(instance)).toMatch(new RegExp(`${events}.*deleted|${events}.*does not exist`))
    expect(await ends(fleet.start('one'))).toMatch(new RegExp(`missing topic ${events}: create it`))
  })

  test('an input made anew while it runs, and while it is down', async () => {
    const { fleet, instance, events } = await atWork()
    await fleet.log.deleteTopics([events])
    await fleet.log.createTopics([{ name: events, partitions: 2, kind: 'plain' }])
    expect(await ends(instance)).toMatch(new RegExp(`${events}.*deleted`))
    expect(await ends(fleet.start('one'))).toMatch(new RegExp(`topic ${events} was deleted and made anew since the last run.*begin anew`))
  })

  test('records deleted before they were processed: it does not go on behind the gap', async () => {
    const { fleet, instance, events } = await atWork()
    expect((await instance.stop()).code).toBe(0)
    const waiting = async (): Promise<number> => {
      const done = await fleet.log.committed(fleet.applicationId, both(events))
      return Math.min(...(await fleet.log.offsets(both(events), 'latest')).map((end, i) => end - (done[i]?.offset ?? 0)))
    }
    await expect.poll(waiting, { timeout: 30_000 }).toBeGreaterThan(10)
    const before = await fleet.log.committed(fleet.applicationId, both(events))
    await deleteRecords(fleet, events, 2)
    expect(await ends(fleet.start('one'))).toMatch(new RegExp(`${events}-\\d has no offset \\d+: it holds \\d+ to \\d+.*reset-offsets`))
    expect(await fleet.log.committed(fleet.applicationId, both(events))).toEqual(before)
  })

  test('a changelog, or a repartition topic, that is gone: its state is not begun from nothing', async () => {
    const { fleet, instance, app } = await atWork()
    expect((await instance.stop()).code).toBe(0)
    const repartition = `${app}-by-group-repartition`
    expect(await fleet.log.topicNames()).toContain(repartition)
    await fleet.log.deleteTopics([repartition])
    expect(await ends(fleet.start('one'))).toMatch(new RegExp(`topic ${repartition} has been deleted.*begin anew`))
    await fleet.log.createTopics([{ name: repartition, partitions: 2, kind: 'repartition' }])
    expect(await ends(fleet.start('one'))).toMatch(new RegExp(`topic ${repartition} was deleted and made anew`))
    await fleet.log.deleteTopics([`${app}-by-key-changelog`])
    expect(await ends(fleet.start('one'))).toMatch(new RegExp(`topic ${app}-by-(key-changelog|group-repartition)`))
  })

  test('a changelog whose head was deleted: whoever has the state goes on, whoever needs it is refused', async () => {
    const { fleet, instance, app } = await atWork()
    const changelog = `${app}-by-key-changelog`
    expect((await instance.stop()).code).toBe(0)
    await sleep(QUIET_MS)
    await admin.incrementalAlterConfigs({
      resources: [
        {
          resourceType: ConfigResourceTypes.TOPIC,
          resourceName: changelog,
          configs: [{ name: 'cleanup.policy', configOperation: IncrementalAlterConfigOperationTypes.SET, value: 'compact,delete' }],
        },
      ],
    })
    // a broker takes it in a moment later, and deletes nothing of a topic that is only compacted
    await expect.poll(() => deleteRecords(fleet, changelog, 2).then(() => 'deleted'), { timeout: 30_000, interval: 200 }).toBe('deleted')
    const again = fleet.start('one')
    await again.ready
    await fleet.passed(await fleet.marks(), PATIENCE_MS)
    expect((await again.stop()).code).toBe(0)
    await sleep(SHORT.sessionTimeoutMs + QUIET_MS) // its tasks go to the other one
    expect(await ends(fleet.start('other'))).toMatch(
      new RegExp(`store by-key: its changelog ${changelog}-\\d begins at offset \\d+.*begin anew`),
    )
  })
})
