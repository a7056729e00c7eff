// The metrics: what the page names is what there is, and the numbers are those of what was processed.
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Metrics, openMetrics } from '../../src/server/metrics.ts'
import { ask, type Line, type Serving, serve } from './serving.ts'

const lines: Line[] = [
  { topic: 'items', key: 'a', value: { version: 2, name: 'x' } },
  { topic: 'items', key: 'a', value: { version: 2, name: 'x' } },
  { topic: 'items', key: 'a', value: { version: 1, name: 'x' } },
  { topic: 'items', key: 'a', value: null },
  { topic: 'items', key: 'b', value: { name: 'no version' } },
  { topic: 'numbers', key: 1, value: 'x' },
  { topic: 'numbers', key: 1, value: 'x' },
]
let serving: Serving
let text: string
beforeAll(async () => {
  serving = await serve(lines)
  text = (await ask(serving.port, '/metrics')).body
}, 60_000)
afterAll(() => serving.close())

/** The sum over all labels that match. */
function sum(name: string, labels = ''): number {
  const found = text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
  expect(found, name).not.toEqual([])
  return found.filter((line) => line.includes(labels)).reduce((total, line) => total + Number(line.split(' ').at(-1)), 0)
}

const emptyMetrics = (): Metrics =>
  openMetrics({
    plan: serving.app.plan,
    world: { clock: { now: () => 0, monotonic: () => 0 } } as never,
    ready: () => true,
    sized: () => null,
    tasks: () => new Map(),
    applying: () => false,
    globalStore: () => undefined,
    figures: () => ({ epochs: 0, rewinds: 0, fenced: 0, rebalances: 0, restored: 0, restores: [], standbys: [] }),
  })

test('docs/operations.md names each metric of the registry, and no other', async () => {
  const metrics = emptyMetrics()
  const there = await metrics.registry.getMetricsAsJSON()
  metrics.close()
  const names = there.map(({ name }) => name)
  const page = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8')
  const named = [...page.matchAll(/^\| `(millrace_\w+)` \| \S/gm)].map((match) => match[1])
  expect(names.filter((name) => !/^(millrace|process|nodejs)_/.test(name))).toEqual([])
  expect(named.toSorted()).toEqual(names.filter((name) => name.startsWith('millrace_')).toSorted())
  expect(named.length).toBeGreaterThan(20)
  for (const { name, type } of there)
    if (name.startsWith('millrace_')) expect(name.endsWith('_total'), name).toBe(String(type) === 'counter')
})

test('the numbers are those of what was processed', async () => {
  expect(sum('millrace_records_in_total')).toBe(lines.length)
  expect(sum('millrace_stale_total', 'store="items"')).toBe(1)
  expect(sum('millrace_duplicate_total', 'store="items"')).toBe(1)
  expect(sum('millrace_dropped_total', 'store="items"')).toBe(1)
  expect(sum('millrace_dead_letters_total')).toBe(1)
  expect(sum('millrace_skipped_total')).toBe(0)
  expect(sum('millrace_records_out_total')).toBe(2) // a row and a dead letter
  expect(sum('millrace_bytes_out_total')).toBeGreaterThan(20)
  expect(sum('millrace_bytes_in_total')).toBeGreaterThan(100)
  expect(sum('millrace_operator_events_total', 'event="winners"')).toBe(1)
  expect(sum('millrace_lag_records')).toBe(0)
  expect(sum('millrace_store_bytes', 'store="items"')).toBeGreaterThan(0)
  expect(sum('millrace_cache_hits_total') + sum('millrace_cache_misses_total')).toBe(lines.length)
  expect(sum('millrace_ready')).toBe(1)
  expect(sum('millrace_tasks')).toBe(6)
  expect(sum('millrace_rewinds_total')).toBe(0)
  expect(sum('millrace_rebalances_total')).toBe(1)
  expect(sum('millrace_epochs_total')).toBe(sum('millrace_commit_seconds_count'))
  expect(sum('millrace_epoch_records_sum')).toBe(lines.length)
  expect(sum('millrace_epoch_bytes_sum')).toBeGreaterThan(0)
  expect(sum('process_cpu_seconds_total')).toBeGreaterThan(0)
  const answers = sum('millrace_http_answers_total', 'status="200"')
  text = (await ask(serving.port, '/metrics')).body
  expect(sum('millrace_http_answers_total', 'status="200"')).toBe(answers + 1)
})

test('docs/grafana-dashboard.json asks for metrics and labels that a running processor has, and for all of ours', () => {
  const page = JSON.parse(readFileSync(new URL('../../docs/grafana-dashboard.json', import.meta.url), 'utf8')) as Dashboard
  const metrics = emptyMetrics()
  const labelsOf = (name: string): readonly string[] =>
    (metrics.registry.getSingleMetric(name) as unknown as { readonly labelNames: readonly string[] } | undefined)?.labelNames ?? []
  const families = new Set([...text.matchAll(/^# TYPE (\w+) /gm)].map((match) => match[1] as string))
  const asked = new Set<string>()
  const targets = page.panels.flatMap((panel) => (panel.targets ?? []).map((target) => ({ ...target, title: panel.title })))
  expect(targets.length).toBeGreaterThan(30)
  for (const { expr, legendFormat, title } of targets) {
    const names = [...new Set([...expr.matchAll(/\b(?:millrace|process|nodejs)_\w+/g)].map(([name]) => name.replace(/_bucket$/, '')))]
    expect(names, title).not.toEqual([])
    for (const name of names) {
      expect(families, title).toContain(name)
      asked.add(name)
    }
    // Every series of a histogram has `le`; every target of a scrape `job` and `instance`.
    const there = new Set([...names.flatMap(labelsOf), ...(expr.includes('_bucket') ? ['le'] : []), 'job', 'instance'])
    const by = [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap((match) => (match[1] as string).split(/,\s*/))
    const selected = [...expr.matchAll(/\{([^}]*)\}/g)].flatMap((match) =>
      [...(match[1] as string).matchAll(/(\w+)\s*[=!]~?"/g)].map(([, label]) => label),
    )
    for (const label of [...by, ...selected]) expect(there, `${title}: ${expr}`).toContain(label)
    // What a legend shows is what the series are told apart by.
    const shown = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map((match) => match[1] as string)
    const kept = expr.includes(' by (') ? by : [...there]
    for (const label of shown) expect(kept, `${title}: ${legendFormat}`).toContain(label)
  }
  metrics.close()
  expect([...families].filter((name) => name.startsWith('millrace_') && !asked.has(name))).toEqual([])
  expect(new Set(page.panels.map(({ id }) => id)).size).toBe(page.panels.length)
})

interface Dashboard {
  readonly panels: readonly {
    readonly id: number
    readonly title: string
    readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[]
  }[]
}
