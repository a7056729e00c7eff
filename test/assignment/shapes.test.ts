// Members of one group whose topologies have different shapes: one shape runs, and nobody takes a task by another meaning.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Claimant, decodeClaim, type Share, standingShares } from '../../src/assignment/hand-over.ts'
import { differenceOf, shapeThatRuns, shareOutOneShape, verdictOf } from '../../src/assignment/shapes.ts'

const [X, Y, Z] = ['1:x', '1:y', '1:z'] as const
const TASKS: Readonly<Record<string, readonly string[]>> = {
  [X]: ['0_0', '0_1', '0_2', '0_3'],
  [Y]: ['0_0', '0_1', '1_0', '1_1', '1_2'],
  [Z]: ['0_0'],
}
const tasksOf = (shape: string): readonly string[] => TASKS[shape] ?? []
const nothing = decodeClaim(Buffer.alloc(0))
const claimant = (memberId: string, shape: string, owned: readonly string[] = [], generation = -1): Claimant => ({
  ...nothing,
  memberId,
  shape,
  owned,
  generation,
})
const given = (shares: ReadonlyMap<string, Share>, id: string): Share => {
  const share = shares.get(id)
  if (share === undefined) throw new Error(`${id} has no share`)
  return share
}

describe('shapes', () => {
  it('a newcomer of another shape is given nothing, and ends; the others go on as if it were not there', () => {
    const a = { ...claimant('a', X, ['0_0', '0_1'], 4), standbys: 1, standingBy: ['0_2'] }
    const b = { ...claimant('b', X, ['0_2', '0_3'], 4), standbys: 1, address: 'b:1' }
    const c = { ...claimant('c', Y), address: 'c:1', stored: ['0_0'] }
    const shares = shareOutOneShape([c, a, b], X, tasksOf(X), tasksOf(X))
    const alone = shareOutOneShape([a, b], X, tasksOf(X), tasksOf(X))
    for (const id of ['a', 'b']) expect(shares.get(id)).toEqual(alone.get(id))
    expect(given(shares, 'a')).toMatchObject({ tasks: ['0_0', '0_1'], standbys: ['0_2', '0_3'], shape: X, foreign: '' })
    expect(given(shares, 'a').peers.map(({ address }) => address)).toEqual(['b:1'])
    const none = { tasks: [], refused: [], released: [], awaited: [], standbys: [], peers: [] }
    expect(given(shares, 'c')).toEqual({ ...none, shape: X, foreign: Y, facts: [] })
    expect(verdictOf(given(shares, 'c'), Y)).toBe('end')
    expect(verdictOf(given(shares, 'a'), X)).toBe('adopt')
  })

  it('a leader that is the newcomer leaves the others what they have, and ends', () => {
    const a = { ...claimant('a', X, ['0_0', '0_1'], 4), standingBy: ['0_3'] }
    const old = claimant('old', X, ['0_1'], 2) // the group went on without it
    const shares = shareOutOneShape([claimant('c', Y), a, old, claimant('d', X, [], 4)], Y, tasksOf(Y), tasksOf(Y))
    expect(given(shares, 'a')).toMatchObject({ tasks: ['0_0', '0_1'], refused: [], released: [], standbys: ['0_3'], shape: X, foreign: '' })
    expect(given(shares, 'old')).toMatchObject({ tasks: [], refused: ['0_1'], shape: X })
    expect(given(shares, 'd')).toMatchObject({ tasks: [], awaited: [], shape: X })
    expect(verdictOf(given(shares, 'c'), Y)).toBe('end')
  })

  it('the newest assignment counts, then the tasks, then the leader', () => {
    const zombie = claimant('z', Y, tasksOf(Y), 3)
    const waits = claimant('w', X, [], 9) // its task is on its way to it, and nobody has it now
    expect(shapeThatRuns([zombie, waits], Y)).toBe(X)
    expect(shapeThatRuns([claimant('a', X, ['0_0'], 5), claimant('b', Y, ['0_0', '1_0'], 5)], X)).toBe(Y)
    const fresh = [claimant('a', X), claimant('b', Y), claimant('c', Y)]
    for (const own of [X, Y]) expect(shapeThatRuns(fresh, own)).toBe(own)
    expect(shapeThatRuns([claimant('a', Y), claimant('b', X)], Z)).toBe(X) // the same on every leader
    expect(shapeThatRuns([claimant('b', X), claimant('a', Y)], Z)).toBe(X)
  })

  it('who tells no shape, or one in another form, has the same', () => {
    const older = claimant('o', '', ['0_0'], 7)
    const newer = claimant('n', '2:x')
    const shares = shareOutOneShape([older, newer, claimant('a', X)], X, tasksOf(X))
    expect(given(shares, 'o')).toMatchObject({ tasks: ['0_0'], foreign: '', shape: X })
    expect(given(shares, 'n')).toMatchObject({ foreign: '', shape: X })
    expect([...shares.values()].flatMap(({ tasks }) => tasks).toSorted()).toEqual(tasksOf(X))
    expect(shapeThatRuns([older, newer], X)).toBe(X)
    expect(verdictOf({ shape: '', foreign: '' }, X)).toBe('adopt')
    expect(verdictOf({ shape: '2:x', foreign: '1:x' }, X)).toBe('adopt')
  })

  it('an assignment that was made before a shape was heard does not count', () => {
    expect(verdictOf({ shape: X, foreign: '' }, Y)).toBe('tell')
    expect(verdictOf({ shape: X, foreign: Z }, Y)).toBe('tell')
    expect(verdictOf({ shape: X, foreign: Y }, X)).toBe('adoptAndTell')
  })

  it('tells what differs: the first of each side', () => {
    const there = ['0 has 4 tasks', '0 reads a', '1 reads b']
    expect(differenceOf(there, ['0 has 4 tasks', '0 reads a', '0 reads c'])).toBe(
      'only there: sub-topology 1 reads b; only here: sub-topology 0 reads c',
    )
    expect(differenceOf(there, [...there, '2 a', '2 b', '2 c', '2 d', '2 e'])).toBe(
      'only here: sub-topology 2 a, sub-topology 2 b, sub-topology 2 c, and 2 more',
    )
    expect(differenceOf([], there)).toBe('')
  })
})

// A group as a broker keeps it. A process is given a share when all have joined, or, coming back under its name, the one of its predecessor
// with nobody being asked. Any of them may lead, and those that miss a round keep their places with what they said before.
interface Process {
  readonly name: string
  readonly shape: string
  runs: readonly string[]
  adopted: number
  passed: number
}

interface Place {
  said: Claimant
  share: Share | null
  process: Process | null
}

class ModelGroup {
  readonly places = new Map<string, Place>()
  generation = 0
  /** Who has ended, by the shape that it had. */
  readonly ended: string[] = []

  get alive(): Process[] {
    return [...this.places.values()].flatMap(({ process }) => process ?? [])
  }

  get running(): Process[] {
    return this.alive.filter(({ adopted }) => adopted === this.generation)
  }

  /** True: it asks for a round. */
  start(name: string, shape: string): boolean {
    const process: Process = { name, shape, runs: [], adopted: -1, passed: -1 }
    const place = this.places.get(name)
    if (place?.share == null) {
      this.places.set(name, { said: claimant(name, shape), share: null, process })
      return true
    }
    place.process = process
    return this.#hear(process, place.share)
  }

  /** `misses` does not join in time. Answers whether somebody asks for another one. */
  round(leads: number, misses: string | null): boolean {
    const joining = [...this.places].filter(([name, { process }]) => process !== null && name !== misses)
    const held = this.running.filter(({ name, runs }) => runs.length > 0 && name !== misses).map(({ shape }) => shape)
    for (const [, place] of joining) {
      const { name, shape, runs, adopted, passed } = place.process as Process
      place.said = { ...claimant(name, shape, runs, adopted), passed }
    }
    const leader = joining[leads % Math.max(1, joining.length)]?.[1].process
    if (leader == null) return false
    this.generation++
    const claims = [...this.places.values()].map(({ said }) => said)
    const shares = shareOutOneShape(claims, leader.shape, tasksOf(leader.shape), tasksOf(leader.shape))
    for (const place of this.places.values()) {
      const share = given(shares, place.said.memberId)
      place.share = share
      const gets = [...share.tasks, ...share.awaited, ...share.standbys].length
      if (place.said.shape !== share.shape) expect(gets, `of ${share.shape} for ${place.said.shape}`).toBe(0)
    }
    let again = false
    for (const [, { process, share }] of joining) again = this.#hear(process as Process, share as Share) || again
    expect(new Set(this.running.map(({ shape }) => shape)).size, 'shapes at once').toBeLessThanOrEqual(1)
    const runs = this.running.flatMap((each) => [...each.runs])
    expect(new Set(runs).size, `twice in ${runs}`).toBe(runs.length)
    if (held.length > 0) expect([...shares.values()][0]?.shape, 'who is at work goes on').toBe(held[0])
    return again
  }

  #hear(process: Process, share: Share): boolean {
    const verdict = verdictOf(share, process.shape)
    if (verdict === 'end') {
      this.places.delete(process.name)
      this.ended.push(process.shape)
      return true
    }
    if (verdict === 'tell') {
      Object.assign(process, { runs: [], adopted: -1, passed: this.generation })
      return true
    }
    const letsGo = process.runs.some((id) => !share.tasks.includes(id))
    Object.assign(process, { runs: share.tasks, adopted: this.generation, passed: -1 })
    for (const id of share.tasks) expect(tasksOf(process.shape), `${id} given to ${process.shape}`).toContain(id)
    return letsGo || share.awaited.length > 0 || verdict === 'adoptAndTell'
  }
}

describe('whoever comes, and in whatever order', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'd')
  const event = fc.oneof(
    { arbitrary: fc.record({ kind: fc.constant('start' as const), name, shape: fc.constantFrom(X, Y, Z) }), weight: 5 },
    { arbitrary: fc.record({ kind: fc.constantFrom('kill' as const, 'leave' as const, 'forget' as const), name }), weight: 2 },
    { arbitrary: fc.record({ kind: fc.constant('miss' as const), name }), weight: 1 },
  )
  const step = fc.record({ event, leads: fc.nat(3), rounds: fc.nat(4) })

  it('property: no task is given to a member of another shape, one shape runs at a time, who is at work goes on, and all of it runs', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 14 }), (steps) => {
        const group = new ModelGroup()
        const settle = (leads: number, most: number): boolean => {
          for (let i = 0; i < most; i++) if (!group.round(leads + i, null)) return true
          return false
        }
        for (const { event, leads, rounds } of steps) {
          const place = group.places.get(event.name)
          let asks = false
          if (event.kind === 'start') asks = place?.process == null && group.start(event.name, event.shape)
          else if (event.kind === 'miss') asks = place?.process != null && group.round(leads, event.name)
          else if (event.kind === 'kill' && place !== undefined) place.process = null
          else if (event.kind !== 'kill' && place !== undefined && (event.kind === 'leave' || place.process === null)) {
            group.places.delete(event.name)
            asks = true
          }
          if (asks) settle(leads, rounds)
        }
        for (const [id, { process }] of [...group.places]) if (process === null) group.places.delete(id) // their sessions end
        if (group.alive.length === 0) return
        group.round(0, null)
        expect(settle(0, 12), 'it settles').toBe(true)
        const { alive, running } = group
        expect(running).toHaveLength(alive.length)
        expect(running.flatMap((each) => [...each.runs]).toSorted()).toEqual([...tasksOf(alive[0]?.shape ?? '')].toSorted())
      }),
    )
  })

  it('all are restarted with another shape, one after the other, under their names: the last of the old ones decides', () => {
    const group = new ModelGroup()
    const settle = (asks: boolean): void => {
      for (let i = 0; asks && i < 9; i++) asks = group.round(i, null)
    }
    for (const each of ['a', 'b', 'c']) settle(group.start(each, X))
    for (const each of ['a', 'b']) {
      ;(group.places.get(each) as Place).process = null
      settle(group.start(each, Y))
      expect(group.alive.map(({ shape }) => shape)).not.toContain(Y)
    }
    expect(group.ended).toEqual([Y, Y])
    expect(group.running.map(({ name, runs }) => [name, runs])).toEqual([['c', tasksOf(X)]])
    ;(group.places.get('c') as Place).process = null
    settle(group.start('c', Y))
    settle(group.start('a', Y))
    expect(group.running.flatMap(({ runs }) => [...runs]).toSorted()).toEqual([...tasksOf(Y)].toSorted())
    expect(group.ended).toEqual([Y, Y])
  })

  it('nothing is dealt out where claims are only repeated: what nobody has stays free', () => {
    const shares = standingShares([claimant('a', X, ['0_0'], 3), claimant('b', X, ['0_0'], 3), claimant('c', X, ['0_1'], 2)])
    expect([...shares].map(([id, { tasks, refused }]) => [id, tasks, refused])).toEqual([
      ['a', [], ['0_0']],
      ['b', [], ['0_0']],
      ['c', ['0_1'], []],
    ])
  })
})
