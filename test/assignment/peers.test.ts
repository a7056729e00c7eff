// Who answers for which task: with the shares that are dealt, so that what is said of the peers is what they run.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Claimant, shareOut } from '../../src/assignment/hand-over.ts'
import { isMisplaced, peersOf } from '../../src/assignment/peers.ts'

const claimant = (n: number, owned: readonly string[], generation: number, served = true): Claimant => ({
  memberId: `m${n}`,
  owned,
  generation,
  stored: [],
  bytes: {},
  at: {},
  standingBy: [],
  host: `h${n}`,
  standbys: 0,
  address: served ? `10.0.0.${n}:80` : '',
  machine: `box${n}`,
  shape: '',
  passed: -1,
})
const all = ['0_0', '0_1', '0_2', '1_0', '1_1']

describe('peers', () => {
  test('a task that changes hands is its former owner’s until that one has let go', () => {
    const first = shareOut([claimant(1, ['0_0', '0_1'], 3), claimant(2, [], 3)], ['0_0', '0_1'])
    const tasks = (shares: ReturnType<typeof shareOut>) => shares.get('m1')?.peers.map((peer) => [peer.host, peer.tasks])
    expect(tasks(first)).toEqual([
      ['h1', ['0_0', '0_1']],
      ['h2', []],
    ])
    const second = shareOut([claimant(1, ['0_0'], 4), claimant(2, [], 4)], ['0_0', '0_1'])
    expect(tasks(second)).toEqual([
      ['h1', ['0_0']],
      ['h2', ['0_1']],
    ])
  })
  test('who has no address is in no list', () => {
    const peers = shareOut([claimant(1, [], -1), claimant(2, [], -1, false)], all).get('m2')?.peers ?? []
    expect(peers.map(({ host, address, machine }) => [host, address, machine])).toEqual([['h1', '10.0.0.1:80', 'box1']])
  })
  test('property: all hear the same; each task is somebody’s, and only of one who was given it or whose claim to it stands', () => {
    const member = fc.record({ owned: fc.subarray(all), generation: fc.nat(2) })
    fc.assert(
      fc.property(fc.array(member, { minLength: 1, maxLength: 4 }), (members) => {
        const shares = shareOut(
          members.map(({ owned, generation }, n) => claimant(n, owned, generation)),
          all,
        )
        const [peers] = [...shares.values()].map((share) => share.peers)
        for (const share of shares.values()) expect(share.peers).toEqual(peers)
        expect(peers?.flatMap((peer) => peer.tasks).toSorted()).toEqual(all)
        for (const [memberId, share] of shares) {
          const mine = peers?.find((peer) => `h${memberId.slice(1)}` === peer.host)?.tasks ?? []
          for (const task of share.tasks) expect(mine).toContain(task)
          for (const task of share.refused) {
            const claims = members.filter(({ owned }) => owned.includes(task)).map(({ generation }) => generation)
            const stands = claims.filter((generation) => generation === Math.max(...claims)).length === 1
            if (stands) expect(mine).not.toContain(task)
          }
        }
      }),
    )
  })
  test('a process that came back at another address is misplaced, and so is one that is not in the list', () => {
    const peers = peersOf([claimant(1, [], 1)], new Map(), new Map([['m1', all]]))
    expect(isMisplaced(peers, 'h1', { address: '10.0.0.1:80', machine: 'box1' })).toBe(false)
    expect(isMisplaced(peers, 'h1', { address: '10.0.0.1:81', machine: 'box1' })).toBe(true)
    expect(isMisplaced(peers, 'h1', { address: '10.0.0.1:80', machine: 'box2' })).toBe(true)
    expect(isMisplaced(peers, 'h2', { address: '10.0.0.1:80', machine: 'box1' })).toBe(true)
    expect(isMisplaced([], 'h1', { address: '10.0.0.1:80', machine: 'box1' })).toBe(true)
  })
})
