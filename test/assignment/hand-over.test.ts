import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Claim, type Claimant, decodeClaim, decodeShare, encodeClaim, encodeShare, shareOut } from '../../src/assignment/hand-over.ts'

const tasks = (count: number) => Array.from({ length: count }, (_, i) => `${i % 3}_${Math.floor(i / 3)}`)
// Spelled out here: what an older version leaves out must mean just this.
const CLAIMS_NOTHING: Claim = {
  owned: [],
  generation: -1,
  stored: [],
  bytes: {},
  at: {},
  standingBy: [],
  host: '',
  standbys: 0,
  address: '',
  machine: '',
  shape: '',
  passed: -1,
}
const OF_NO_SHAPE = { shape: '', foreign: '', facts: [] }
const claimant = (memberId: string, owned: readonly string[], generation = -1): Claimant => ({
  ...CLAIMS_NOTHING,
  memberId,
  owned,
  generation,
})

describe('the hand-over', () => {
  it('gives a task that moves only after its owner has let go', () => {
    const first = shareOut([claimant('a', ['0_0', '0_1'], 3), claimant('b', [])], ['0_0', '0_1'])
    expect(first.get('a')).toEqual({ tasks: ['0_0'], refused: [], released: ['0_1'], awaited: [], standbys: [], peers: [], ...OF_NO_SHAPE })
    expect(first.get('b')).toEqual({ tasks: [], refused: [], released: [], awaited: ['0_1'], standbys: [], peers: [], ...OF_NO_SHAPE })
    const second = shareOut([claimant('a', ['0_0'], 4), claimant('b', [], 4)], ['0_0', '0_1'])
    expect(second.get('a')).toEqual({ tasks: ['0_0'], refused: [], released: [], awaited: [], standbys: [], peers: [], ...OF_NO_SHAPE })
    expect(second.get('b')).toEqual({ tasks: ['0_1'], refused: [], released: [], awaited: [], standbys: [], peers: [], ...OF_NO_SHAPE })
  })

  it('refuses the claim of a member that the group went on without', () => {
    const shares = shareOut([claimant('a', ['0_0'], 3), claimant('b', ['0_0', '0_1'], 5)], ['0_0', '0_1'])
    expect(shares.get('a')?.refused).toEqual(['0_0'])
    expect(shares.get('a')?.tasks).toEqual([])
    expect(shares.get('b')?.refused).toEqual([])
  })

  it('gives a task claimed twice in one generation to nobody, until one has let go', () => {
    const shares = shareOut([claimant('a', ['0_0'], 5), claimant('b', ['0_0'], 5)], ['0_0'])
    expect([...shares.values()].flatMap((share) => share.tasks)).toEqual([])
    expect([...shares.values()].map((share) => share.refused)).toEqual([['0_0'], ['0_0']])
  })

  it('reads what it writes, and nothing from nothing', () => {
    const claim: Claim = {
      owned: ['0_1'],
      generation: 4,
      stored: ['0_2'],
      bytes: { '0_1': 7 },
      at: { '0_1': 9 },
      standingBy: ['0_2'],
      host: 'h',
      standbys: 1,
      address: 'h:1',
      machine: 'm',
      shape: '1:ab',
      passed: 3,
    }
    expect(decodeClaim(encodeClaim(claim))).toEqual(claim)
    expect(decodeClaim(Buffer.alloc(0))).toEqual(CLAIMS_NOTHING)
    expect(decodeClaim(Buffer.from('{"owned":["0_1"],"generation":2}'))).toEqual({ ...CLAIMS_NOTHING, owned: ['0_1'], generation: 2 })
    const share = {
      tasks: ['0_1'],
      refused: [],
      released: ['2_1'],
      awaited: ['1_1'],
      standbys: ['0_2'],
      peers: [{ host: 'h', address: 'h:1', machine: 'm', tasks: ['0_1'] }],
      shape: '1:ab',
      foreign: '1:cd',
      facts: ['0 reads a'],
    }
    expect(decodeShare(encodeShare(share))).toEqual(share)
    expect(decodeShare(Buffer.alloc(0))).toEqual({
      tasks: [],
      refused: [],
      released: [],
      awaited: [],
      standbys: [],
      peers: [],
      ...OF_NO_SHAPE,
    })
  })

  it('deals as many standbys as any member asks for, and leaves a task that moves with the one that had it', () => {
    const a = { ...claimant('a', ['0_0', '0_1'], 3), at: { '0_0': 7, '0_1': 9 } }
    const b = { ...claimant('b', []), standbys: 1 }
    const shares = shareOut([a, b], ['0_0', '0_1'], ['0_0', '0_1'])
    expect(shares.get('a')).toEqual({
      tasks: ['0_0'],
      refused: [],
      released: ['0_1'],
      awaited: [],
      standbys: ['0_1'],
      peers: [],
      ...OF_NO_SHAPE,
    })
    expect(shares.get('b')).toEqual({
      tasks: [],
      refused: [],
      released: [],
      awaited: ['0_1'],
      standbys: ['0_0'],
      peers: [],
      ...OF_NO_SHAPE,
    })
    expect(shareOut([a, b], ['0_0', '0_1'], []).get('a')?.standbys).toEqual([])
  })

  // A group as the protocol sees it: rounds in which every present member states its claims. A member may miss a round: its place stays
  // with the claims of its last join (static), or is lost (it comes back without knowing, with its old claims).
  it('property: whoever comes, goes or misses rounds, no two run a task, and in the end everything runs', () => {
    const event = fc.record({
      join: fc.boolean(),
      leave: fc.option(fc.nat(4)),
      misses: fc.option(fc.nat(4)),
      expelled: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(event, { maxLength: 12 }), fc.integer({ min: 1, max: 10 }), (events, count) => {
        const all = tasks(count)
        let generation = 0
        let names = 0
        type Member = { name: string; runs: Set<string>; adopted: number; said: Claimant }
        const members: Member[] = []
        const join = (): void => {
          const name = `m${names++}`
          members.push({ name, runs: new Set(), adopted: -1, said: claimant(name, []) })
        }
        const round = (misses: Member | null, expelled: boolean): boolean => {
          for (const member of members) if (member !== misses) member.said = claimant(member.name, [...member.runs], member.adopted)
          generation++
          const present = members.filter((member) => !(expelled && member === misses))
          if (present.length === 0) return true
          const shares = shareOut(
            present.map((member) => member.said),
            all,
          )
          let settled = true
          for (const member of present) {
            if (member === misses) continue // whatever it does now is refused: its generation is over
            const share = shares.get(member.name)
            if (share === undefined) throw new Error(`${member.name} has no share`)
            const gone = [...member.runs].filter((id) => !share.tasks.includes(id))
            if (gone.length > 0 || share.awaited.length > 0) settled = false
            member.runs = new Set(share.tasks)
            member.adopted = generation
          }
          // Those whose commits would be taken: members of the present generation.
          const running = members.filter((member) => member.adopted === generation).flatMap((member) => [...member.runs])
          expect(new Set(running).size, `twice in ${running}`).toBe(running.length)
          return settled && misses === null
        }
        join()
        for (const { join: joins, leave, misses, expelled } of events) {
          if (joins && members.length < 5) join()
          if (leave !== null && members.length > 1) members.splice(leave % members.length, 1)
          round(misses === null ? null : (members[misses % members.length] ?? null), expelled)
        }
        for (let i = 0; i < 4; i++) if (round(null, false)) break
        expect(round(null, false)).toBe(true)
        expect(members.flatMap((member) => [...member.runs]).sort()).toEqual([...all].sort())
        const sizes = members.map((member) => member.runs.size)
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
      }),
    )
  })

  it('property: what stays is never taken', () => {
    const member = fc.record({ owned: fc.subarray(tasks(12)), generation: fc.nat(3) })
    fc.assert(
      fc.property(
        fc.array(member, { minLength: 1, maxLength: 5 }),
        fc.array(fc.nat(4), { minLength: 12, maxLength: 12 }),
        (members, owners) => {
          // every task with one owner
          const claims = members.map((m, i) =>
            claimant(
              `m${i}`,
              tasks(12).filter((_, t) => (owners[t] ?? 0) % members.length === i),
              m.generation,
            ),
          )
          const least = Math.floor(12 / members.length)
          for (const { memberId, owned } of claims) {
            const share = shareOut(claims, tasks(12)).get(memberId)
            expect(share?.tasks.length).toBeGreaterThanOrEqual(Math.min(owned.length, least))
            expect(owned).toEqual(expect.arrayContaining([...(share?.tasks ?? [])]))
          }
        },
      ),
    )
  })
})
