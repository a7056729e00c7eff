// The versions of a key against a model that forgets nothing: whatever may be asked within the retention is answered the same.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { putVersion, readVersions, type Version, versionAt, writeVersions } from '../../../src/operators/user-stores/versions.ts'

it('answers as if nothing were forgotten, and keeps no more than the retention needs', () => {
  const put = fc.record({ timestamp: fc.nat(60), value: fc.option(fc.nat(9)) })
  fc.assert(
    fc.property(fc.array(put, { maxLength: 40, size: 'max' }), fc.nat(20), (puts, retention) => {
      let versions: readonly Version[] = []
      const all = new Map<number, number | null>()
      let observed = -1
      for (const { timestamp, value } of puts) {
        if (timestamp < observed - retention) continue
        observed = Math.max(observed, timestamp)
        const bound = observed - retention
        versions = putVersion(versions, { timestamp, value: value === null ? null : Buffer.of(value) }, bound)
        all.set(timestamp, value)
        const bytes = writeVersions(versions)
        expect(bytes === null ? [] : readVersions(bytes)).toEqual(versions)
        for (let asOf = Math.max(0, bound); asOf <= 61; asOf++) {
          const at = Math.max(-1, ...[...all.keys()].filter((time) => time <= asOf))
          expect(versionAt(versions, asOf)?.value?.[0] ?? null, `as of ${asOf}`).toBe(at < 0 ? null : all.get(at))
        }
        // All but the first and the one that held at the bound are within the retention.
        expect(versions.filter(({ timestamp: time }) => time <= bound).length).toBeLessThanOrEqual(1)
      }
    }),
    { numRuns: 1_000 },
  )
})
