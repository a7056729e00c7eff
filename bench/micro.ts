// `npm run bench:micro`: what each hot piece of a record's journey costs, beside what the machine could do at best, and against the figures
// kept in bench/micro.json. It prints and never fails: a figure that has risen is for a person to look at.
//
//   npm run bench:micro -- --only json --rounds 20     npm run bench:micro -- --keep      writes bench/micro.json
//
// 1. Every piece is measured in turns with its limit and with a loop that touches none of our code: `loops` is the piece's time in units of that
//    loop's, so that figures of two days, or of a busy machine and a quiet one, can be compared.
// 2. The shortest of the rounds counts: what disturbs a round only makes it longer.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { type Piece, type Side, pieces } from './pieces.ts'

const values = new Command('npm run bench:micro --')
  .description('Measure each hot piece of a record beside the least that the machine could do it with, and against bench/micro.json.')
  .option('--only <text>', 'pieces with this in their name')
  .option('--rounds <n>', 'the shortest of them counts', '15')
  .option('--keep', 'write bench/micro.json', false)
  .parse()
  .opts<{ only?: string; rounds: string; keep: boolean }>()

/** A round lasts about this long. */
const ROUND_MS = 20
const CALIBRATION_STEPS = 200_000
/** Differences below this are the machine's. */
const NOTICED = 1.15

interface Kept {
  readonly date: string
  readonly node: string
  /** By name: time of an operation in units of the calibration loop's thousand steps. */
  readonly loops: Readonly<Record<string, number>>
}

const keptPath = join(import.meta.dirname, 'micro.json')
const kept: Kept | null = existsSync(keptPath) ? (JSON.parse(readFileSync(keptPath, 'utf8')) as Kept) : null

let sink = 0
/** Nanoseconds of a thousand steps. */
function calibrate(): number {
  const started = process.hrtime.bigint()
  let x = 88_675_123
  for (let i = 0; i < CALIBRATION_STEPS; i++) {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
  }
  sink ^= x
  return Number(process.hrtime.bigint() - started) / (CALIBRATION_STEPS / 1000)
}

/** Nanoseconds of one operation. */
async function time(side: Side, times: number): Promise<number> {
  const started = process.hrtime.bigint()
  for (let i = 0; i < times; i++) {
    const running = side.run()
    if (running !== undefined) await running
  }
  return Number(process.hrtime.bigint() - started) / (times * side.operations)
}

/** How often it must run to fill a round; also warms it up. */
async function timesOf(side: Side): Promise<number> {
  let times = 1
  for (;;) {
    const ms = ((await time(side, times)) * times * side.operations) / 1e6
    if (ms >= ROUND_MS / 2 || times >= 1_000_000) return Math.max(1, Math.round((times * ROUND_MS) / ms))
    times *= 4
  }
}

interface Figure {
  readonly name: string
  readonly ns: number
  readonly loops: number
  readonly limit: string
  readonly limitNs: number
}

async function measure({ name, open }: Piece): Promise<Figure> {
  const { own, limit, close } = await open()
  const times = [await timesOf(own), await timesOf(limit)] as const
  let ns = Number.POSITIVE_INFINITY
  let limitNs = Number.POSITIVE_INFINITY
  let loopNs = Number.POSITIVE_INFINITY
  for (let round = 0; round < Number(values.rounds); round++) {
    loopNs = Math.min(loopNs, calibrate())
    ns = Math.min(ns, await time(own, times[0]))
    limitNs = Math.min(limitNs, await time(limit, times[1]))
  }
  await close?.()
  return { name, ns, loops: ns / loopNs, limit: limit.name, limitNs }
}

const us = (ns: number): string => (ns / 1000).toFixed(3).padStart(8)
function line({ name, ns, loops, limit, limitNs }: Figure): string {
  const before = kept?.loops[name]
  const change =
    before === undefined ? 'new' : `${(loops / before).toFixed(2)}x${loops / before > NOTICED ? '  <- slower than before' : ''}`
  const times = `${(ns / limitNs).toFixed(1)}x`.padStart(7)
  return `${name.padEnd(42)} ${us(ns)} ${loops.toFixed(3).padStart(8)}  ${limit.padEnd(38)} ${us(limitNs)} ${times}   ${change}`
}

console.log(`${'piece'.padEnd(42)}   us/op    loops  ${'limit'.padEnd(38)}    us/op   times   against ${kept?.date ?? 'nothing kept'}`)
const figures: Figure[] = []
for (const piece of pieces) {
  if (values.only !== undefined && !piece.name.includes(values.only)) continue
  const figure = await measure(piece)
  figures.push(figure)
  console.log(line(figure))
}
if (sink === 0.5) console.log('') // the loop has a result that somebody reads

if (values.keep) {
  const loops = { ...kept?.loops, ...Object.fromEntries(figures.map((figure) => [figure.name, Number(figure.loops.toPrecision(4))])) }
  const now: Kept = { date: new Date().toISOString().slice(0, 10), node: process.version, loops }
  writeFileSync(keptPath, `${JSON.stringify(now, null, 2)}\n`)
  console.log(`kept in bench/micro.json`)
}
