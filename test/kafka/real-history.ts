// A catalog's history made from real products and categories: several versions of each, renames, moves, deletes and new creates.
//
// Categories get a department above them (the first word of their name). Departments are renamed and never deleted: so each row's
// versions name one content, and no row may come twice.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'csv-parse/sync'
import type { CategoryEvent, ProductEvent } from '../../topologies/catalog.ts'
import type { CatalogEvent } from '../support/catalog-history.ts'
import { type Seeded, seeded } from '../support/seeded.ts'

const START_MS = Date.UTC(2026, 0, 5, 8)

type Row = Readonly<Record<string, string>>
type Entity = { readonly topic: 'categories' | 'products'; readonly id: string; readonly make: (round: number) => object }

const rowsOf = (file: string): Row[] => parse(readFileSync(file), { columns: true, bom: true, skip_empty_lines: true }) as Row[]

/** In the order it happened. `dir` holds the two CSV files. */
export function realHistory(dir: string, seed: number): CatalogEvent[] {
  const random = seeded(seed)
  const categories = rowsOf(join(dir, 'category_translation.csv')).map((row) => ({
    id: row.product_category_name as string,
    name: row.product_category_name_english as string,
  }))
  const departments = [...new Set(categories.map(({ name }) => name.split('_')[0] as string))]
  const entities: Entity[] = [
    ...departments.map((name): Entity => {
      return { topic: 'categories', id: `department-${name}`, make: (round) => ({ name: renamed(name, round), parentId: null }) }
    }),
    ...categories.map(({ id, name }): Entity => {
      const parentId = `department-${name.split('_')[0]}`
      return { topic: 'categories', id, make: (round) => ({ name: renamed(name, round), parentId }) }
    }),
    ...rowsOf(join(dir, 'olist_products.csv')).map((row) => productOf(row, categories, random)),
  ]
  const events: CatalogEvent[] = []
  for (const entity of entities) {
    let version = 0
    let deleted = false
    const rounds = 1 + random.below(4)
    for (let round = 0; round < rounds; round++) {
      version += 1 + random.below(3)
      const mayGo: boolean = round > 0 && !deleted && !entity.id.startsWith('department-')
      deleted = mayGo && random.chance(entity.topic === 'categories' ? 0.1 : 0.3)
      const value = { id: entity.id, version, op: deleted ? 'delete' : 'upsert', ...entity.make(round) } as CategoryEvent & ProductEvent
      // Round for round in time: what happens to one entity is spread over the whole history.
      const timestamp = START_MS + (round * entities.length + events.length) * 10
      events.push({ topic: entity.topic, key: entity.id, value, timestamp } as CatalogEvent)
    }
  }
  return events.sort((a, b) => a.timestamp - b.timestamp)
}

const renamed = (name: string, round: number): string => (round === 0 ? name : `${name} (${round})`)

/** Some have no category in the data, some one that the translations lack: those never appear in the catalog. */
function productOf(row: Row, categories: readonly { readonly id: string }[], random: Seeded): Entity {
  const own = row.product_category_name as string
  const weight = Number(row.product_weight_g || 0)
  const make = (round: number): object => ({
    name: `${own || 'product'} ${(row.product_id as string).slice(0, 8)}`,
    price: weight + 100 * round,
    categoryId: round > 0 && random.chance(0.2) ? random.pick(categories).id : own,
    brandId: null,
  })
  return { topic: 'products', id: row.product_id as string, make }
}
