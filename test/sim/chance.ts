// Every decision of the simulator is one draw, so that a seed, or a tape of numbers, is the whole story of a run.
//
// Invariants
// 1. 0 is the benign choice everywhere: a tape of zeros, or none, is a run without faults and without delays.
import { seeded } from '../support/seeded.ts'

/** 0 <= n < bound. */
export type Draw = (bound: number) => number

export interface Chance {
  readonly draw: Draw
  /** True with this probability; never for the benign draw. */
  hit(probability: number): boolean
  /** A whole number, both ends included; the lowest is the benign one. */
  between(from: number, to: number): number
  /** A time with fractions. */
  delayMs(from: number, to: number): number
  pick<T>(of: readonly T[]): T
}

export function seededDraw(seed: number): Draw {
  const random = seeded(seed)
  return (bound) => random.below(bound)
}

/** Past the end of the tape every choice is the benign one, or what `past` says. */
export function tapedDraw(tape: readonly number[], past: Draw = () => 0): Draw {
  let at = 0
  return (bound) => (at < tape.length ? (tape[at++] as number) % bound : past(bound))
}

const FINE = 10_000

export function chance(draw: Draw): Chance {
  return {
    draw,
    hit: (probability) => probability > 0 && draw(FINE) >= FINE * (1 - probability),
    between: (from, to) => from + draw(to - from + 1),
    delayMs: (from, to) => from + ((to - from) * draw(FINE)) / FINE,
    pick: (of) => of[draw(of.length)] as (typeof of)[number],
  }
}
