import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { advance, dueInMs, type EpochState, failed, IDLE, overfull, recovered, seal, sealDue, worked } from '../../src/barrier/machine.ts'

const limits = { intervalMs: 100, recordsMax: 10, bytesMax: 1000 }

describe('the epoch machine', () => {
  it('is due by interval, records or bytes, and never with nothing open', () => {
    expect(sealDue(IDLE, 1e9, 1e9, limits)).toBe(false)
    const open = worked(IDLE, 1, 50)
    expect(sealDue(open, 149, 0, limits)).toBe(false)
    expect(sealDue(open, 150, 0, limits)).toBe(true)
    expect(sealDue(worked(open, 9, 60), 60, 0, limits)).toBe(true)
    expect(sealDue(open, 60, 1000, limits)).toBe(true)
    expect(dueInMs(open, 70, limits)).toBe(80)
    expect(dueInMs(IDLE, 70, limits)).toBe(null)
  })

  it('opens the next epoch at the seal and keeps it from being sealed until the first has ended', () => {
    let state = seal(worked(IDLE, 1, 0))
    expect(state.open).toBe(null)
    state = worked(state, 20, 1)
    expect(sealDue(state, 1e6, 0, limits)).toBe(false)
    expect(overfull(state, 0, limits)).toBe(true)
    expect(() => seal(state)).toThrow('while an epoch is being committed')
    for (const to of ['committing', 'applying', 'none'] as const) state = advance(state, to, 'exactly_once')
    expect(state.epochs).toBe(1)
    expect(sealDue(state, 1e6, 0, limits)).toBe(true)
  })

  it('writes to disk before the commit only under at_least_once', () => {
    const sealed = seal(worked(IDLE, 1, 0))
    expect(() => advance(sealed, 'applying', 'exactly_once')).toThrow('applying after flushing')
    expect(advance(sealed, 'applying', 'at_least_once').sealed).toBe('applying')
    expect(() => advance(sealed, 'committing', 'at_least_once')).toThrow('committing after flushing')
  })

  it('accepts nothing but recovery after a failure', () => {
    const broken = failed(worked(IDLE, 1, 0))
    expect(() => worked(broken, 1, 1)).toThrow('after a failure')
    expect(() => seal(broken)).toThrow('after a failure')
    expect(sealDue(broken, 1e6, 0, limits)).toBe(false)
    expect(recovered(broken)).toEqual(IDLE)
  })

  it('property: whatever the driver tries, applying follows committing and epochs only grow', () => {
    const step = fc.constantFrom('work', 'seal', 'committing', 'applying', 'none', 'fail', 'recover')
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let state: EpochState = IDLE
        let before = ''
        for (const name of steps) {
          const epochs = state.epochs
          try {
            if (name === 'work') state = worked(state, 1, 0)
            else if (name === 'seal') state = seal(state)
            else if (name === 'fail') state = failed(state)
            else if (name === 'recover') state = recovered(state)
            else {
              const from: string = state.sealed
              state = advance(state, name as 'committing', 'exactly_once')
              if (name === 'applying') expect(from).toBe('committing')
              before = from
            }
          } catch (error) {
            expect((error as { code?: string }).code).toBe('STREAM_INTERNAL')
          }
          expect(state.epochs).toBeGreaterThanOrEqual(epochs)
          if (state.epochs > epochs) expect(before).toBe('applying')
        }
      }),
    )
  })
})
