// A set of texts that knows their order: for range scans over a Map. Additions and removals cost nothing until someone asks for a
// range; then they are merged. It never holds values.
//
// Invariants
// 1. Every piece is sorted, no piece is empty, and a piece's last text is smaller than the next piece's first.
// 2. `pending` holds what is not merged yet: true for an addition, false for a removal; the last word counts.

/** Texts in a piece before it is cut in two: an insertion moves at most these. */
const PIECE_MAX = 512

export interface Ordered {
  pieces: string[][]
  pending: Map<string, boolean>
}

export function ordered(): Ordered {
  return { pieces: [], pending: new Map() }
}

/** The first index in a sorted array whose text is >= `text` (or > it, when `after`). */
function place(sorted: readonly string[], text: string, after: boolean): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const there = sorted[middle] as string
    if (there < text || (after && there === text)) low = middle + 1
    else high = middle
  }
  return low
}

/** The first piece whose last text is >= `text` (or > it, when `after`). */
function pieceOf(pieces: readonly string[][], text: string, after: boolean): number {
  let low = 0
  let high = pieces.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const last = (pieces[middle] as string[]).at(-1) as string
    if (last < text || (after && last === text)) low = middle + 1
    else high = middle
  }
  return low
}

function cut(sorted: readonly string[]): string[][] {
  const pieces: string[][] = []
  for (let i = 0; i < sorted.length; i += PIECE_MAX / 2) pieces.push(sorted.slice(i, i + PIECE_MAX / 2))
  return pieces
}

function insert(pieces: string[][], text: string): void {
  const at = Math.min(pieceOf(pieces, text, false), pieces.length - 1)
  const piece = pieces[at]
  if (piece === undefined) {
    pieces.push([text])
    return
  }
  const index = place(piece, text, false)
  if (piece[index] === text) return
  piece.splice(index, 0, text)
  if (piece.length > PIECE_MAX) pieces.splice(at, 1, ...cut(piece))
}

function remove(pieces: string[][], text: string): void {
  const at = pieceOf(pieces, text, false)
  const piece = pieces[at]
  if (piece === undefined) return
  const index = place(piece, text, false)
  if (piece[index] !== text) return
  piece.splice(index, 1)
  if (piece.length === 0) pieces.splice(at, 1)
}

function settle(set: Ordered): void {
  if (set.pending.size === 0) return
  const size = set.pieces.length * (PIECE_MAX / 2)
  if (set.pending.size > size / 8) {
    // Many changes: sorting anew is cheaper than placing each.
    const all = new Set(set.pieces.flat())
    for (const [text, present] of set.pending) present ? all.add(text) : all.delete(text)
    set.pieces = cut([...all].sort())
  } else {
    for (const [text, present] of set.pending) present ? insert(set.pieces, text) : remove(set.pieces, text)
  }
  set.pending.clear()
}

export interface TextRange {
  readonly from: string | null
  readonly to: string | null
  readonly fromExclusive: boolean
  readonly toExclusive: boolean
  readonly reverse: boolean
}

/** The first `limit` texts of the range, in its direction. */
export function take(set: Ordered, range: TextRange, limit: number): string[] {
  settle(set)
  const { pieces } = set
  const taken: string[] = []
  const start = range.from === null ? 0 : pieceOf(pieces, range.from, false)
  const end = range.to === null ? pieces.length - 1 : Math.min(pieceOf(pieces, range.to, false), pieces.length - 1)
  for (let step = 0; step <= end - start && taken.length < limit; step++) {
    const piece = pieces[range.reverse ? end - step : start + step] as string[]
    const low = range.from === null ? 0 : place(piece, range.from, range.fromExclusive)
    const high = range.to === null ? piece.length : place(piece, range.to, !range.toExclusive)
    const room = limit - taken.length
    if (range.reverse) for (let i = high - 1; i >= Math.max(low, high - room); i--) taken.push(piece[i] as string)
    else for (let i = low; i < Math.min(high, low + room); i++) taken.push(piece[i] as string)
  }
  return taken
}
