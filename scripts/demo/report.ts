// What the demo prints in the end: figures, and whether the catalog is what it must be.

import { differences } from '../../test/support/catalog-oracle.ts'
import { type CatalogOutput, goneBack, tableOf } from '../../test/support/catalog-outputs.ts'
import type { CatalogRow } from '../../topologies/catalog.ts'
import type { DemoDelivery } from './delivery.ts'
import type { Ran } from './run.ts'

export type Figures = readonly (readonly [what: string, count: number])[]

const SHOWN = 5

export function figuresOf(delivery: DemoDelivery, ran: Ran, kills: number): Figures {
  return [
    ['events that happened', delivery.happened],
    ['delivered twice', delivery.duplicates],
    ['creates after their delete', delivery.stale],
    ['sent again after a kill', ran.sentAgain],
    ['kills (SIGKILL)', kills],
    ['restarts', ran.restarts],
    ['outputs', ran.outputs.length],
    ['products in the catalog', tableOf(ran.outputs).size],
  ]
}

export function table(figures: Figures): string {
  const width = Math.max(...figures.map(([what]) => what.length))
  return figures.map(([what, count]) => `  ${what.padEnd(width)}  ${count.toLocaleString('en').padStart(9)}\n`).join('')
}

export function verdict(
  outputs: readonly CatalogOutput[],
  expected: ReadonlyMap<string, CatalogRow>,
): { readonly equal: boolean; readonly text: string } {
  const wrong = [...differences(tableOf(outputs), expected), ...goneBack(outputs)]
  if (wrong.length === 0) return { equal: true, text: 'catalog equals the oracle: yes' }
  const more = wrong.length > SHOWN ? `\n  and ${wrong.length - SHOWN} more` : ''
  return {
    equal: false,
    text: `catalog equals the oracle: no\n${wrong
      .slice(0, SHOWN)
      .map((line) => `  ${line}`)
      .join('\n')}${more}`,
  }
}
