// A layered layout of a small acyclic graph, left to right: ranks by the longest way from a root, dummies where a link spans ranks,
// order within a rank by the mean of the neighbours. Pure; the same graph gives the same picture.
//
// Invariants
// 1. A link goes from a lower rank to a higher one.
// 2. Boxes of one rank do not overlap.

export interface Box {
  readonly id: string
  readonly width: number
  readonly height: number
}

export interface Link {
  readonly from: string
  readonly to: string
}

export interface Placed {
  readonly x: number
  readonly y: number
}

export interface Layout {
  readonly width: number
  readonly height: number
  /** Left upper corner by id. */
  readonly boxes: ReadonlyMap<string, Placed>
  /** Points a link goes through, from the right edge of its first box to the left edge of its last; in the order of the links. */
  readonly paths: readonly (readonly Placed[])[]
}

interface Cell {
  readonly id: string | null
  readonly rank: number
  readonly width: number
  readonly height: number
  readonly before: Cell[]
  readonly after: Cell[]
  /** The middle. */
  y: number
}

const RANK_GAP = 48
const BOX_GAP = 18
const SWEEPS = 8

/** Boxes come in an order in which links go forward. */
export function layOut(boxes: readonly Box[], links: readonly Link[]): Layout {
  const rankOf = new Map(boxes.map(({ id }) => [id, 0]))
  for (const { id } of boxes) {
    for (const { from, to } of links) if (to === id) rankOf.set(id, Math.max(rankOf.get(id) ?? 0, (rankOf.get(from) ?? 0) + 1))
  }
  // A box without a way in stands right before what it leads to.
  for (const { id } of boxes) {
    const ahead = links.filter(({ from }) => from === id).map(({ to }) => rankOf.get(to) ?? 0)
    if (ahead.length > 0 && !links.some(({ to }) => to === id)) rankOf.set(id, Math.min(...ahead) - 1)
  }
  const cells = new Map(
    boxes.map(({ id, width, height }): [string, Cell] => [
      id,
      { id, rank: rankOf.get(id) ?? 0, width, height, before: [], after: [], y: 0 },
    ]),
  )
  const all = [...cells.values()]
  const ways = links.map(({ from, to }) => wayBetween(cells.get(from) as Cell, cells.get(to) as Cell, all))

  const ranks = Array.from({ length: Math.max(0, ...all.map(({ rank }) => rank + 1)) }, (_, rank) =>
    all.filter((cell) => cell.rank === rank),
  )
  for (const rank of ranks) spread(rank)
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const forward = sweep % 2 === 0
    for (const rank of forward ? ranks : ranks.toReversed()) {
      for (const cell of rank) cell.y = mean(forward ? cell.before : cell.after) ?? cell.y
      rank.sort((a, b) => a.y - b.y)
      spread(rank)
    }
  }
  return placed(ranks, all, ways)
}

/** The cells of a link, with a dummy on every rank between. */
function wayBetween(from: Cell, to: Cell, all: Cell[]): Cell[] {
  const way = [from]
  for (let rank = from.rank + 1; rank < to.rank; rank++) {
    const dummy: Cell = { id: null, rank, width: 0, height: 0, before: [], after: [], y: 0 }
    all.push(dummy)
    way.push(dummy)
  }
  way.push(to)
  for (const [i, cell] of way.entries()) {
    const next = way[i + 1]
    if (next === undefined) continue
    cell.after.push(next)
    next.before.push(cell)
  }
  return way
}

function mean(cells: readonly Cell[]): number | null {
  return cells.length === 0 ? null : cells.reduce((sum, cell) => sum + cell.y, 0) / cells.length
}

/** Pushes cells apart, keeping their order and the middle of them all. */
function spread(rank: readonly Cell[]): void {
  const wanted = rank.reduce((sum, cell) => sum + cell.y, 0)
  let free = Number.NEGATIVE_INFINITY
  for (const cell of rank) {
    cell.y = Math.max(cell.y, free + cell.height / 2)
    free = cell.y + cell.height / 2 + BOX_GAP
  }
  const shift = (wanted - rank.reduce((sum, cell) => sum + cell.y, 0)) / Math.max(1, rank.length)
  for (const cell of rank) cell.y += shift
}

function placed(ranks: readonly (readonly Cell[])[], all: readonly Cell[], ways: readonly (readonly Cell[])[]): Layout {
  const top = Math.min(0, ...all.map((cell) => cell.y - cell.height / 2))
  const widths = ranks.map((rank) => Math.max(0, ...rank.map((cell) => cell.width)))
  const lefts = widths.map((_, rank) => widths.slice(0, rank).reduce((sum, width) => sum + width + RANK_GAP, 0))
  const left = (cell: Cell) => (lefts[cell.rank] ?? 0) + ((widths[cell.rank] ?? 0) - cell.width) / 2
  const boxes = new Map<string, Placed>()
  for (const cell of all) if (cell.id !== null) boxes.set(cell.id, { x: left(cell), y: cell.y - cell.height / 2 - top })
  const paths = ways.map((way) =>
    way.flatMap((cell, i): Placed[] => {
      const y = cell.y - top
      if (i === 0) return [{ x: left(cell) + cell.width, y }]
      if (i === way.length - 1) return [{ x: left(cell), y }]
      // Straight across the rank, so that the link keeps clear of its boxes.
      const at = lefts[cell.rank] ?? 0
      return [
        { x: at, y },
        { x: at + (widths[cell.rank] ?? 0), y },
      ]
    }),
  )
  return {
    width: (lefts.at(-1) ?? 0) + (widths.at(-1) ?? 0),
    height: Math.max(0, ...all.map((cell) => cell.y + cell.height / 2 - top)),
    boxes,
    paths,
  }
}
