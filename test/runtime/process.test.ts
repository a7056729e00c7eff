// Processors over the real runtime: what they may do, what is undone, what is refused.
import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/base/limits.ts'
import { type KeyValueStore, keyValue, readOnly, type Stream, string, type TopologyBuilder, topology } from '../../src/index.ts'
import { TopologyTestDriver } from '../../src/testing/index.ts'

const text = { key: string(), value: string() }

function driverOf(build: (input: Stream<string, string>, t: TopologyBuilder) => void, partitions = 1): TopologyTestDriver {
  return new TopologyTestDriver(
    topology('it', (t) => build(t.stream('in', text), t)),
    { partitions },
  )
}

async function outputs(driver: TopologyTestDriver, topic = 'out'): Promise<string[]> {
  await driver.commit()
  return driver
    .output<string, string>(topic)
    .readAll()
    .map(({ key, value, timestamp }) => `${key}=${value}@${timestamp}`)
}

describe('process', () => {
  it('keeps the headers of the record, or writes those that are named', async () => {
    await using driver = driverOf((input) =>
      input
        .process<string, string>((context) => ({
          process(record) {
            context.forward({ ...record, value: 'spread' })
            context.forward({ key: record.key, value: 'plain', timestamp: 5 })
            context.forward({ ...record, value: 'named', headers: { trace: '2' } })
            context.forward({ ...record, value: 'none', headers: {} })
            context.forward({ ...record, value: String(record.headers?.trace), headers: record.headers ?? {} })
          },
        }))
        .to('out', text),
    )
    await driver.input('in').pipe({ key: 'a', value: 'x', timestamp: 1, headers: { trace: '1' } })
    await driver.commit()
    const seen = driver.output('out').readAll()
    expect(seen.map(({ value, headers, timestamp }) => [value, { ...headers }, timestamp])).toEqual([
      ['spread', { trace: '1' }, 1],
      ['plain', { trace: '1' }, 5],
      ['named', { trace: '2' }, 1],
      ['none', {}, 1],
      ['1', { trace: '1' }, 1],
    ])
  })

  it('keeps the headers through a repartition topic', async () => {
    await using driver = driverOf(
      (input) =>
        input
          .selectKey((value) => value, { key: string() })
          .repartition()
          .process<string, string>((context) => ({
            process: (record) => context.forward({ ...record, value: String(record.headers?.trace) }),
          }))
          .to('out', text),
      3,
    )
    await driver.input('in').pipe({ key: 'a', value: 'x', timestamp: 1, headers: { trace: '1' } })
    await driver.commit()
    expect(driver.output('out').readAll()).toMatchObject([{ key: 'x', value: '1', headers: { trace: '1' } }])
  })

  it('says where a record came from, and in a timer that it came from nowhere', async () => {
    const seen: unknown[] = []
    await using driver = driverOf((input) =>
      input.process((context) => {
        context.schedule('5ms', 'stream', () => seen.push(context.recordMetadata()))
        return { process: () => void seen.push(context.recordMetadata()) }
      }),
    )
    await driver.input('in').pipe([
      { key: 'a', value: 'x', timestamp: 1 },
      { key: 'a', value: 'y', timestamp: 2 },
    ])
    expect(seen).toEqual([{ topic: 'in', partition: 0, offset: 0 }, null, { topic: 'in', partition: 0, offset: 1 }])
  })

  it('forwards to one output by name, or to all', async () => {
    await using driver = driverOf((input) => {
      const { odd, even } = input.processValues<string, 'odd' | 'even'>(
        (context) => ({
          process(record) {
            if (record.value === 'both') return context.forward(record)
            context.forward(record, Number(record.value) % 2 === 0 ? 'even' : 'odd')
          },
        }),
        { outputs: ['odd', 'even'], value: string() },
      )
      odd.to('odd', text)
      even.to('even', text)
    })
    await driver.input('in').pipe(['1', '2', 'both', '3'].map((value, timestamp) => ({ key: 'k', value, timestamp })))
    expect(await outputs(driver, 'odd')).toEqual(['k=1@0', 'k=both@2', 'k=3@3'])
    expect(await outputs(driver, 'even')).toEqual(['k=2@1', 'k=both@2'])
  })

  it('shares a store among processors, one of which only reads it', async () => {
    await using driver = driverOf((input, t) => {
      const seen = t.store(keyValue({ name: 'seen', ...text }))
      input.process(
        (context) => {
          const store = context.store(seen)
          return { process: ({ key, value }) => store.put(key, value) }
        },
        { stores: [seen] },
      )
      const reader = readOnly(seen)
      t.stream('ask', text)
        .processValues<string>(
          (context) => {
            const store = context.store(reader)
            return {
              process(record) {
                if (record.value === 'write') (store as KeyValueStore<string, string>).put(record.key, 'no')
                context.forward({ ...record, value: store.get(record.key) ?? 'nothing' })
              },
            }
          },
          { stores: [reader], value: string() },
        )
        .to('out', text)
    }, 3)
    await driver.input('ask').pipe({ key: 'a', value: '?', timestamp: 1 })
    await driver.input('in').pipe({ key: 'a', value: 'x', timestamp: 2 })
    await driver.input('ask').pipe([
      { key: 'a', value: '?', timestamp: 3 },
      { key: 'a', value: 'write', timestamp: 4 },
    ])
    expect(await outputs(driver)).toEqual(['a=nothing@1', 'a=x@3'])
    expect(driver.store('seen').get('a')).toBe('x')
    const [letter] = driver.output('it-dead-letter').readAll()
    expect(letter?.headers['__streams.errors.message']).toMatch(/only reads the store seen/)
  })

  it('undoes what a record did before it threw', async () => {
    await using driver = driverOf((input, t) => {
      const seen = t.store(keyValue({ name: 'seen', ...text }))
      input
        .process<string, string>(
          (context) => {
            const store = context.store(seen)
            return {
              process(record) {
                store.put(record.key, record.value)
                context.schedule('1ms', 'stream', () => context.forward({ ...record, value: 'never' }))
                context.forward(record)
                if (record.value === 'bad') throw new Error('no')
              },
            }
          },
          { stores: [seen] },
        )
        .to('out', text)
    })
    await driver.input('in').pipe({ key: 'a', value: 'bad', timestamp: 1 })
    expect(await outputs(driver)).toEqual([])
    expect(driver.store('seen').get('a')).toBeNull()
    expect(driver.output('it-dead-letter').readAll()).toHaveLength(1)
  })

  it('lets nobody catch away what failed below', async () => {
    await using driver = driverOf((input) =>
      input
        .process<string, string>((context) => ({
          process(record) {
            try {
              context.forward(record)
            } catch {}
            context.forward({ ...record, value: 'went on' })
          },
        }))
        .mapValues((value) => {
          if (value === 'bad') throw new Error('no')
          return value
        })
        .to('out', { key: string(), value: string() }),
    )
    await driver.input('in').pipe({ key: 'a', value: 'bad', timestamp: 1 })
    expect(await outputs(driver)).toEqual([])
    expect(driver.output('it-dead-letter').readAll()).toHaveLength(1)
  })

  it('lets nobody catch away a read that has to wait', async () => {
    await using driver = driverOf((input, t) => {
      const seen = t.store(keyValue({ name: 'seen', ...text }))
      input
        .process<string, string>(
          (context) => {
            const store = context.store(seen)
            return {
              process(record) {
                let rows = 'none'
                try {
                  rows = [...store.all()].map(([key]) => key).join()
                } catch {}
                store.put(record.key, record.value)
                context.forward({ ...record, value: rows })
              },
            }
          },
          { stores: [seen] },
        )
        .to('out', text)
    })
    await driver.input('in').pipe(['b', 'a', 'c'].map((key, timestamp) => ({ key, value: 'x', timestamp })))
    expect(await outputs(driver)).toEqual(['b=@0', 'a=b@1', 'c=a,b@2'])
  })

  it.each([
    ['is async', async () => {}, /must not be async/],
    ['forwards no timestamp', (context: any) => context.forward({ key: 'a', value: 'b' }), /timestamp in epoch ms/],
    ['forwards to an output that is none', (context: any) => context.forward({ key: 'a', value: 'b', timestamp: 1 }, 'x'), /no output "x"/],
    ['puts under no key', (context: any) => context.store('seen').put(null, 'x'), /a key must not be null/],
    ['asks for a store that is not connected', (context: any) => context.store('other'), /"other" is not connected/],
    ['sets a timer of no clock', (context: any) => context.schedule('1s', 'moon', () => {}), /'stream' or 'wall'/],
  ])('makes a dead letter of a record whose processor %s', async (_, act, message) => {
    await using driver = driverOf((input, t) => {
      const seen = t.store(keyValue({ name: 'seen', ...text }))
      input.process((context) => ({ process: () => act(context) as void }), { stores: [seen] })
    })
    await driver.input('in').pipe({ key: 'a', value: 'x', timestamp: 1 })
    await driver.commit()
    const letters = driver.output('it-dead-letter').readAll()
    expect(letters.map(({ headers }) => headers['__streams.errors.message'])).toEqual([expect.stringMatching(message)])
  })

  it('bounds the timers of a task', async () => {
    await using driver = driverOf((input) => input.process((context) => ({ process: () => void context.schedule('1h', 'wall', () => {}) })))
    await driver.input('in').pipe(Array.from({ length: 151 }, () => ({ key: 'a', value: 'x', timestamp: 1 })))
    await driver.commit()
    const letters = driver.output('it-dead-letter').readAll()
    expect(letters.map(({ headers }) => headers['__streams.errors.message'])).toEqual([expect.stringMatching(/150 timers in this task/)])
  })

  it('bounds the timers that a supplier sets, cancelled ones too: a broker takes no more with an offset', async () => {
    const setting = (timers: number) =>
      driverOf((input) =>
        input.process((context) => {
          for (let i = 0; i < timers; i++) context.schedule('365000d', i % 2 === 0 ? 'wall' : 'stream', () => {}).cancel()
          return { process() {} }
        }),
      )
    await using most = setting(LIMITS.timersMax)
    await most.input('in').pipe({ key: 'a', value: 'x', timestamp: 1 })
    await most.commit()
    const more = setting(LIMITS.timersMax + 1).input('in')
    await expect(more.pipe({ key: 'a', value: 'x', timestamp: 1 })).rejects.toMatchObject({ code: 'STREAM_CALLBACK', disposition: 'stop' })
  })

  it('makes a dead letter of a timer that throws, undoes it, and goes on with it', async () => {
    await using driver = driverOf((input, t) => {
      const rows = t.store(keyValue({ name: 'rows', ...text }))
      input
        .process<string, string>(
          (context) => {
            const store = context.store(rows)
            context.schedule('10ms', 'wall', (timestamp) => {
              const at = store.get('at')
              store.put('at', String(timestamp))
              context.forward({ key: 'at', value: String(at), timestamp })
              if (timestamp === 20) throw new Error('not at 20')
            })
            return { process: () => {} }
          },
          { stores: [rows] },
        )
        .to('out', text)
    })
    for (let i = 0; i < 3; i++) await driver.advance('10ms')
    expect(await outputs(driver)).toEqual(['at=null@10', 'at=10@30'])
    const [letter, ...more] = driver.output('it-dead-letter').readAll()
    expect(letter).toMatchObject({ key: null, value: null, timestamp: 20 })
    expect(letter?.headers['__streams.errors.message']).toMatch(/the callback of process-1 threw: not at 20/)
    expect(more).toEqual([])
  })

  it('refuses a changed key in processValues', async () => {
    await using driver = driverOf((input) =>
      input
        .processValues<string>((context) => ({ process: (record) => context.forward({ ...record, key: record.value }) }), {
          value: string(),
        })
        .to('out', text),
    )
    await driver.input('in').pipe([
      { key: 'a', value: 'b', timestamp: 1 },
      { key: 'a', value: 'a', timestamp: 2 },
    ])
    expect(await outputs(driver)).toEqual(['a=a@2'])
    expect(driver.output('it-dead-letter').readAll()[0]?.headers['__streams.errors.message']).toMatch(/must keep the key/)
  })

  it('refuses stores and forward outside of a record', async () => {
    let leaked: (() => void)[] = []
    await using driver = driverOf((input, t) => {
      const seen = t.store(keyValue({ name: 'seen', ...text }))
      input.process(
        (context) => {
          const store = context.store(seen)
          leaked = [() => store.put('a', 'b'), () => store.get('a'), () => context.forward({ key: 'a', value: 'b', timestamp: 1 })]
          return { process: () => {} }
        },
        { stores: [seen] },
      )
    })
    await driver.input('in').pipe({ key: 'a', value: 'x', timestamp: 1 })
    expect(leaked).toHaveLength(3)
    for (const use of leaked) expect(use).toThrow(/only while process\(\) or a timer runs/)
  })

  it('commits when it is asked to', async () => {
    await using driver = driverOf((input) =>
      input
        .process<string, string>((context) => ({
          process(record) {
            context.forward(record)
            if (record.value === 'commit') context.commit()
          },
        }))
        .to('out', text),
    )
    await driver.input('in').pipe([
      { key: 'a', value: 'x', timestamp: 1 },
      { key: 'a', value: 'commit', timestamp: 2 },
      { key: 'a', value: 'y', timestamp: 3 },
    ])
    await driver.crash()
    expect(await outputs(driver)).toEqual(['a=x@1', 'a=commit@2', 'a=y@3'])
  })
})

describe('key-value stores', () => {
  it('forget rows whose ttl is over in stream time', async () => {
    await using driver = driverOf((input, t) => {
      const seen = t.store(keyValue({ name: 'seen', ...text, ttl: '10ms' }))
      input
        .process<string, string>(
          (context) => {
            const store = context.store(seen)
            return {
              process(record) {
                const before = store.get(record.key)
                store.put(record.key, record.value)
                const rows = [...store.all()].map(([key, value]) => `${key}${value}`).join()
                context.forward({ ...record, value: `${before} ${rows}` })
              },
            }
          },
          { stores: [seen] },
        )
        .to('out', text)
    })
    await driver.input('in').pipe([
      { key: 'a', value: '1', timestamp: 1 },
      { key: 'b', value: '2', timestamp: 5 },
      { key: 'c', value: '3', timestamp: 11 },
      { key: 'd', value: '4', timestamp: 12 },
      { key: 'e', value: 'late', timestamp: 1 },
      { key: 'b', value: '5', timestamp: 30 },
    ])
    await driver.crash()
    expect((await outputs(driver)).map((line) => line.replace(/@.*/, ''))).toEqual([
      'a=null a1',
      'b=null a1,b2',
      'c=null a1,b2,c3',
      'd=null b2,c3,d4',
      'e=null b2,c3,d4,elate',
      'b=null b5',
    ])
  })

  it('delete rows whose ttl is over and that nobody reads any more, in bounded parts', async () => {
    const seen = keyValue({ name: 'seen', ...text, ttl: '100ms' })
    await using driver = driverOf((input, t) => {
      const handle = t.store(seen)
      input.process(
        (context) => {
          const store = context.store(handle)
          return { process: ({ key, value }) => store.put(key, value) }
        },
        { stores: [handle] },
      )
    })
    await driver.input('in').pipe(Array.from({ length: 2_500 }, (_, i) => ({ key: `k${i}`, value: 'x', timestamp: i < 2_400 ? 0 : 500 })))
    await driver.commit()
    const left = () => Array.from({ length: 2_500 }, (_, i) => driver.store('seen').get(`k${i}`)).filter((value) => value !== null).length
    expect(left()).toBe(2_500)
    const after: number[] = []
    for (let i = 0; i < 4; i++) {
      await driver.advance('1s')
      await driver.crash() // what is not committed is deleted again
      after.push(left())
    }
    expect(after).toEqual([1_500, 600, 100, 100])
  })

  it('in memory are restored from their changelog; without one they begin empty', async () => {
    await using driver = driverOf((input, t) => {
      const kept = t.store(keyValue({ name: 'kept', ...text, persistent: false }))
      const lost = t.store(keyValue({ name: 'lost', ...text, changelog: false }))
      input
        .process<string, string>(
          (context) => {
            const [a, b] = [context.store(kept), context.store(lost)]
            return {
              process(record) {
                const before = `${a.get(record.key)} ${b.get(record.key)}`
                a.put(record.key, record.value)
                b.put(record.key, record.value)
                context.forward({ ...record, value: before })
              },
            }
          },
          { stores: [kept, lost] },
        )
        .to('out', text)
    })
    await driver.input('in').pipe({ key: 'a', value: '1', timestamp: 1 })
    await driver.commit()
    await driver.crash()
    await driver.input('in').pipe({ key: 'a', value: '2', timestamp: 2 })
    expect(await outputs(driver)).toEqual(['a=null null@1', 'a=1 null@2'])
  })

  it('show a range as it was when it began', async () => {
    await using driver = driverOf((input, t) => {
      const seen = t.store(keyValue({ name: 'seen', ...text }))
      input
        .process<string, string>(
          (context) => {
            const store = context.store(seen)
            return {
              process(record) {
                if (record.value !== '?') return store.put(record.key, record.value)
                const rows = store.all()
                store.put('zz', 'late')
                for (const [key, value] of rows) {
                  store.delete(key)
                  store.put(`${key}x`, 'new')
                  context.forward({ ...record, key, value })
                }
              },
            }
          },
          { stores: [seen] },
        )
        .to('out', text)
    })
    await driver.input('in').pipe(['a', 'b', 'c'].map((key) => ({ key, value: key, timestamp: 0 })))
    await driver.commit()
    await driver.input('in').pipe({ key: 'd', value: 'd', timestamp: 0 })
    await driver.input('in').pipe({ key: 'q', value: '?', timestamp: 1 })
    expect(await outputs(driver)).toEqual(['a=a@1', 'b=b@1', 'c=c@1', 'd=d@1'])
    await driver.input('in').pipe({ key: 'q', value: '?', timestamp: 2 })
    expect(await outputs(driver)).toEqual(['ax=new@2', 'bx=new@2', 'cx=new@2', 'dx=new@2', 'zz=late@2'])
  })
})
