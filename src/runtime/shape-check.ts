// A worker's look at the shape of what it is given: it tells its own with each claim, and takes no assignment of another one. Decides nothing
// about the group: assignment/shapes.ts does.
//
// Invariants
// 1. An assignment of another shape is never adopted, whoever made it, and whenever.
// 2. It is asked for anew until this shape was heard, and not for ever: then the worker ends.
import type { Claim, Share } from '../assignment/hand-over.ts'
import { differenceOf, type Told, verdictOf } from '../assignment/shapes.ts'
import { MillraceError } from '../base/errors.ts'

const TELLS_MAX = 5

export class ShapeCheck {
  readonly #own: Told
  readonly #groupId: string
  /** Facts of the shape that the group runs, as far as anybody has told them. */
  #heard: readonly string[] = []
  #passed = -1
  #tells = 0
  /** It has ended for it: its place is for others. */
  refused = false

  constructor(own: Told, groupId: string) {
    this.#own = own
    this.#groupId = groupId
  }

  get claim(): Pick<Claim, 'shape' | 'passed'> {
    return { shape: this.#own.id, passed: this.#passed }
  }

  get knows(): { readonly own: Told; readonly heard: readonly string[] } {
    return { own: this.#own, heard: this.#heard }
  }

  /** What is to be done with an assignment. Throws STREAM_TOPOLOGY_MISMATCH: nothing, and the worker is to end. */
  judge(share: Share, generation: number): 'adopt' | 'adoptAndTell' | 'tell' {
    const verdict = verdictOf(share, this.#own.id)
    if (verdict === 'adopt' || verdict === 'adoptAndTell') {
      this.#passed = -1
      this.#tells = 0
      return verdict
    }
    if (share.facts.length > 0) this.#heard = share.facts
    this.#passed = generation
    if (verdict === 'tell' && ++this.#tells <= TELLS_MAX) return verdict
    this.refused = true
    throw new MillraceError('STREAM_TOPOLOGY_MISMATCH', this.#words())
  }

  #words(): string {
    const difference = differenceOf(this.#heard, this.#own.facts)
    return (
      `application ${this.#groupId} runs with a topology of another shape than this one (${difference || 'millrace describe of both shows where'}): ` +
      'the same task would mean two things; stop all instances of the application first, or give the new topology another application id'
    )
  }
}
