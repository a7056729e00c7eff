// Orders through their states, judged by plain code; one of them is hot: paid in many parts, each of them slow.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json as bodyOf } from 'node:stream/consumers'
import { type OrderEvent, pipeline, type Step } from '../../topologies/pipeline/pipeline.ts'
import type { Seeded } from '../../test/support/seeded.ts'
import { type Scenario, type Sent, shuffled, type World } from './scenario.ts'

export const HOT = 'hot'

export function eventsOf(random: Seeded, orders: number, hotParts: number): Sent[] {
  return Array.from({ length: orders }, (_, i) => i).flatMap((i) => {
    const [key, parts] = i === 0 ? [HOT, hotParts] : [`o${i}`, 1 + random.below(3)]
    const cents = Array.from({ length: parts }, () => 1 + random.below(500))
    const events: OrderEvent[] = [
      { type: 'created', cents: cents.reduce((a, b) => a + b) },
      ...cents.map((part, n): OrderEvent => ({ type: 'authorized', id: `${key}-${n}`, cents: part })),
      { type: 'fulfilled' },
    ]
    return events.map((value): Sent => ({ topic: 'order-events', key, value }))
  })
}

/** Steps of an order that are out of their order, whatever is still to come. */
export function outOfOrder(_: readonly Sent[], written: readonly Sent[]): string[] {
  return [...Map.groupBy(written, ({ key }) => key)].flatMap(([key, all]) => {
    const steps = all.map(({ value }) => value as Step)
    const names = steps.map(({ step }) => step).join(' ')
    const right = /^created( part)*( authorized( fulfilled)?)?$/.test(names) && steps.every(({ seq }, i) => seq === i + 1)
    return right ? [] : [`${key} went ${names}, numbered ${steps.map(({ seq }) => seq)}`]
  })
}

/** Every order whose events are all there is fulfilled, step by step. */
export function judgePipeline(sent: readonly Sent[], written: readonly Sent[]): string[] {
  const steps = Map.groupBy(written, ({ key }) => key)
  return [...Map.groupBy(sent, ({ key }) => key)].flatMap(([key, events]) => {
    const parts = new Set(
      events.flatMap(({ value }) => ((value as OrderEvent).type === 'authorized' ? [(value as { id: string }).id] : [])),
    )
    const seen = (steps.get(key) ?? []).map(({ value }) => value as Step)
    const wrong: string[] = []
    if (seen.some(({ seq }, i) => seq !== i + 1)) wrong.push(`${key} is numbered ${seen.map(({ seq }) => seq)}`)
    const names = seen.map(({ step }) => step).join(' ')
    const wanted = ['created', ...[...parts].map(() => 'part'), 'authorized', 'fulfilled'].join(' ')
    if (names !== wanted) wrong.push(`${key} went ${names || 'nowhere'}, should go ${wanted}`)
    const taken = new Set(seen.flatMap(({ part }) => part ?? []))
    if (taken.size !== parts.size) wrong.push(`${key}: ${taken.size} parts of ${parts.size}`)
    return wrong
  })
}

export const scenario: Scenario = {
  happened: (random) => eventsOf(random, 12, 15),
  parts: [
    {
      file: 'topologies/pipeline/pipeline.ts',
      topology: () => pipeline(async () => ({})),
      inputs: ['order-events'],
      outputs: ['order-steps'],
      disorder: shuffled,
      judge: judgePipeline,
      always: outOfOrder,
    },
  ],
  async outside(): Promise<World> {
    const doneAtMs = new Map<string, number>()
    const server = createServer((request, response) => {
      void (async () => {
        const { order, step } = (await bodyOf(request)) as { order: string; step: Step['step'] }
        setTimeout(
          () => {
            if (step === 'fulfilled') doneAtMs.set(order, performance.now())
            response.writeHead(200).end('{}')
          },
          order === HOT ? 150 : 0,
        )
      })().catch(() => response.destroy())
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return {
      env: { STEPS_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}` },
      judge() {
        const last = [...doneAtMs].sort((a, b) => a[1] - b[1]).at(-1)?.[0]
        return last === HOT ? [] : [`${last} was done after the hot order`]
      },
      close: () => new Promise((resolve) => server.close(() => resolve())),
    }
  },
}
