// What `promtool check metrics` asks of an exposition: that a parser of the format reads it, and the rules of its linter. Also of several
// workers, whose metrics are put together.
import parse from 'parse-prometheus-text-format'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openMergedMetrics, openWorkerMetrics } from '../../src/server/metrics.ts'
import type { Metered } from '../../src/server/served.ts'
import { ask, type Serving, serve } from './serving.ts'

let serving: Serving
beforeAll(async () => {
  serving = await serve([
    { topic: 'items', key: 'a', value: { version: 2, name: 'x' } },
    { topic: 'items', key: 'quo"ted\\\n', value: { version: 1, name: 'x' } },
    { topic: 'items', key: 'b', value: { name: 'no version' } },
    { topic: 'numbers', key: 1, value: 'x' },
  ])
}, 60_000)
afterAll(() => serving.close())

/** What is wrong with it, a line each. */
function problems(text: string): readonly string[] {
  const found: string[] = []
  if (!text.endsWith('\n')) found.push('the last line has no end')
  const families = parse(text)
  if (families.length < 10) found.push(`${families.length} families`)
  const heads = text.split('\n').filter((line) => line.startsWith('# TYPE '))
  if (heads.length !== families.length) found.push(`${heads.length} types, ${families.length} families`)
  const seen = new Set<string>()
  for (const { name, help, type, metrics } of families) {
    const wrong = (what: string): void => void found.push(`${name}: ${what}`)
    if (seen.has(name)) wrong('comes twice')
    seen.add(name)
    if (!/^(millrace|process|nodejs)_[a-z0-9_]+$/.test(name)) wrong('a name of another kind')
    if (help === '') wrong('no help')
    if (!['COUNTER', 'GAUGE', 'HISTOGRAM', 'SUMMARY'].includes(type)) wrong(`type ${type}`)
    if ((type === 'COUNTER') !== name.endsWith('_total')) wrong('_total is the ending of counters, and of nothing else')
    if (/_(count|sum|bucket|info)$/.test(name) && type !== 'GAUGE') wrong('an ending that is reserved')
    if (/(^|_)(counter|gauge|histogram|summary)(_|$)/.test(name)) wrong('its type is in its name')
    if (/_(milliseconds|ms|minutes|hours|kilobytes|megabytes|kb|mb)(_|$)/.test(name)) wrong('no base unit')
    for (const metric of metrics) {
      for (const label of Object.keys(metric.labels ?? {})) if (!/^[a-z_]+$/.test(label) || label.startsWith('__')) wrong(`label ${label}`)
      if (metric.value !== undefined && Number.isNaN(Number(metric.value)) && !/^nan$/i.test(metric.value)) wrong(`value ${metric.value}`)
    }
  }
  return [...found, ...seriesProblems(text)]
}

/** Of single lines, which the parser puts together without a word. */
function seriesProblems(text: string): readonly string[] {
  const found: string[] = []
  const values = new Map<string, number>()
  const buckets = new Map<string, [le: number, count: number][]>()
  for (const line of text.split('\n').filter((one) => one !== '' && !one.startsWith('#'))) {
    const series = line.slice(0, line.lastIndexOf(' '))
    const value = Number(line.slice(series.length + 1))
    if (values.has(series)) found.push(`${series}: comes twice`)
    values.set(series, value)
    const le = /le="([^"]+)",?/.exec(series)
    if (le === null || !/^\w+_bucket\{/.test(series)) continue
    const histogram = series.replace(le[0], '').replace(/,?\}$/, '}')
    buckets.set(histogram, [...(buckets.get(histogram) ?? []), [le[1] === '+Inf' ? Number.POSITIVE_INFINITY : Number(le[1]), value]])
  }
  for (const [histogram, of] of buckets) {
    const counts = of.toSorted(([a], [b]) => a - b).map(([, count]) => count)
    if (counts.some((count, i) => i > 0 && count < (counts[i - 1] as number))) found.push(`${histogram}: buckets that fall`)
    const total = values.get(histogram.replace('_bucket{', '_count{').replace('{}', ''))
    if (of.at(-1)?.[0] !== Number.POSITIVE_INFINITY || counts.at(-1) !== total) found.push(`${histogram}: +Inf is not the count`)
  }
  return found
}

test('of a process', async () => {
  const { body, headers } = await ask(serving.port, '/metrics')
  expect(headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8')
  expect(problems(body)).toEqual([])
})

test('of several workers', async () => {
  const served = {
    plan: serving.app.plan,
    ready: () => true,
    tasks: () => new Map(),
    figures: () => ({ epochs: 1, rewinds: 0, fenced: 0, rebalances: 1, restored: 0, restores: [], standbys: [] }),
  } as unknown as Metered
  const workers = [0, 1].map((worker) => openWorkerMetrics(served, worker))
  for (const worker of workers) worker.epoch({ records: 3, bytes: 100, openMs: 5, commitMs: 3 })
  const merged = openMergedMetrics(async () => [...structuredClone(await Promise.all(workers.map((worker) => worker.read()))), null])
  const { text } = await merged.render()
  merged.close()
  expect(problems(text)).toEqual([])
})

test('the rules bite', () => {
  const good = '# HELP millrace_a_total a\n# TYPE millrace_a_total counter\nmillrace_a_total 1\n'
  const only = (text: string): readonly string[] => problems(text).filter((line) => !line.endsWith('families'))
  expect(only(good)).toEqual([])
  expect(only(good.replace('counter', 'gauge'))).toHaveLength(1)
  expect(only(good.replace('# HELP millrace_a_total a\n', ''))).toHaveLength(1)
  expect(only(good.replaceAll('a_total', 'a_ms_total'))).toHaveLength(1)
  expect(only(`${good}millrace_a_total 2\n`)).toHaveLength(1)
  const histogram =
    '# HELP millrace_h h\n# TYPE millrace_h histogram\nmillrace_h_bucket{le="1"} 2\nmillrace_h_bucket{le="+Inf"} 1\nmillrace_h_sum 1\nmillrace_h_count 1\n'
  expect(only(histogram)).toEqual(['millrace_h_bucket{}: buckets that fall'])
})
