// The sum that CI ends with: no report, no tests and a list that has grown stale are failures.
import { describe, expect, test } from 'vitest'
import { conformanceCounts, mutantCounts, seedCounts, vitestCounts } from '../../scripts/counts.ts'
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
  test('what failed is named', () => {
    const testResults = [
      {
        name: '/somewhere/test/log/a.test.ts',
        status: 'failed',
        assertionResults: [
          { status: 'passed', fullName: 'good' },
          { status: 'failed', fullName: 'a log keeps', failureMessages: ['Error: lost\n    at there'] },
        ],
      },
      { name: '/somewhere/test/b.test.ts', status: 'failed', message: 'no such module\n', assertionResults: [] },
      { name: '/somewhere/test/c.test.ts', status: 'passed', assertionResults: [{ status: 'passed', fullName: 'fine' }] },
    ]
    const { notes } = vitestCounts(JSON.stringify({ numPassedTests: 2, numFailedTests: 1, success: false, testResults }))
    expect(notes).toEqual(['FAILED: test/log/a.test.ts: a log keeps: Error: lost', 'FAILED: test/b.test.ts: no such module'])
  })
})

test('seeds: all of them are one test, each violation is a failure', () => {
  const output = (seeds: number, bad: number): string =>
    `5000 seeds so far\n${seeds} seeds from 1: ${bad} with violations; 60 seeds/s, 9 events`
  expect(seedCounts(output(700, 0))).toMatchObject({ passed: 1, failed: 0 })
  expect(seedCounts(output(700, 2))).toMatchObject({ passed: 0, failed: 2 })
  expect(seedCounts(output(0, 0))).toMatchObject({ passed: 0, failed: 1 })
  expect(seedCounts('5000 seeds so far')).toMatchObject({ passed: 0, failed: 1 })
})

test('planted bugs: each is a test', () => {
  expect(mutantCounts('| 1 | x | seed 1 of 5 | D |\n\n27 planted bugs found, 1 not\n')).toMatchObject({ passed: 27, failed: 1 })
  expect(mutantCounts('0 planted bugs found, 0 not')).toMatchObject({ passed: 0, failed: 1 })
  expect(mutantCounts('| 1 | x')).toMatchObject({ passed: 0, failed: 1 })
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
  test('a runner that broke off is a failure, whatever it had said', () => {
    expect(conformanceCounts('ok   count: 9 passed, 0 failed\n', '')).toMatchObject({ passed: 9, failed: 1 })
    expect(conformanceCounts('ok   count: 9 passed, 0 failed\n10 passed, 0 failed\n', '')).toMatchObject({ passed: 9, failed: 1 })
    expect(conformanceCounts('ok   count: 9 passed, 0 failed\n9 passed, 0 failed\n', '')).toMatchObject({ passed: 9, failed: 0 })
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
