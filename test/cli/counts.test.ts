// The sum that CI ends with: no report, no tests and a list that has grown stale are failures.
import { describe, expect, test } from 'vitest'
import { conformanceCounts, vitestCounts } from '../../scripts/counts.ts'
import { publishedForm } from '../../scripts/published-form.ts'

describe('vitest', () => {
  const report = (numPassedTests: number, numFailedTests: number, success: boolean): string =>
    JSON.stringify({ numPassedTests, numFailedTests, success })
  test('counts', () => {
    expect(vitestCounts(report(5, 0, true))).toMatchObject({ passed: 5, failed: 0 })
    expect(vitestCounts(report(5, 2, false))).toMatchObject({ passed: 5, failed: 2 })
  })
  test('what is no success is a failure', () => {
    expect(vitestCounts('')).toMatchObject({ passed: 0, failed: 1 })
    expect(vitestCounts('{}')).toMatchObject({ passed: 0, failed: 1 })
    expect(vitestCounts(report(0, 0, true))).toMatchObject({ passed: 0, failed: 1 })
    expect(vitestCounts(report(5, 0, false))).toMatchObject({ passed: 5, failed: 1 })
  })
})

describe('conformance', () => {
  const output =
    "ok   count: 9 passed, 0 failed\nFAIL sessions: 1 passed, 3 failed\n     case 'x'\nFAIL sliding: 0 passed, 2 failed\n10 passed, 5 failed\n"
  test('what is out of reach is not counted', () => {
    expect(conformanceCounts(output, '# none yet\nsessions # windows\n\nsliding\n')).toMatchObject({ passed: 9, failed: 0 })
    expect(conformanceCounts(output, 'sessions')).toMatchObject({ passed: 9, failed: 2 })
  })
  test('the list must be true', () => {
    expect(conformanceCounts(output, 'sessions\nsliding\ncount')).toMatchObject({ passed: 0, failed: 1 })
    expect(conformanceCounts(output, 'sessions\nsliding\nnowhere')).toMatchObject({ passed: 9, failed: 1 })
    expect(conformanceCounts('', '')).toMatchObject({ passed: 0, failed: 1 })
  })
})

test('the published manifest names what is built', () => {
  const manifest = {
    name: 'x',
    exports: { '.': './src/index.ts', './testing': './src/testing/index.ts', './package.json': './package.json' },
    scripts: {},
    devDependencies: {},
  }
  expect(publishedForm(manifest)).toEqual({
    name: 'x',
    exports: {
      '.': { types: './dist/index.d.ts', default: './dist/index.js' },
      './testing': { types: './dist/testing/index.d.ts', default: './dist/testing/index.js' },
      './package.json': './package.json',
    },
  })
})
