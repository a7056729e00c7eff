// How long the type checker takes for a topology of 200 operators: what an editor and `tsc` cost a user. Run by bench/run.ts, or alone:
// node bench/compile.ts. The figure is of the user's file against our declarations, as the package
// has them, from nothing and without a build cache; beside it against our sources, as in this repository.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const OPERATORS_A_UNIT = 20

/** Twenty operators, of every family; the units hang together by their tables. */
const unit = (n: number): string => `
  const orders${n} = t.stream('orders-${n}', { key: string(), value: json<Order>() })
  const products${n} = t
    .stream('products-${n}', { key: string(), value: json<Product>() })
    .lastWriteWins({ store: 'products-${n}', version: (e) => e.version, deleted: (e) => e.deleted })
  const sums${n} = orders${n}
    .filter((order) => order.cents > ${n})
    .mapValues((order) => ({ ...order, day: Math.floor(order.at / 86_400_000) }))
    .groupBy((order) => order.customer, { key: string() })
    .aggregate(() => ({ cents: 0, days: [] as number[] }), (sum, order) => ({ cents: sum.cents + order.cents, days: [...sum.days, order.day] }), { store: 'sums-${n}' })
  const names${n} = products${n}
    .filter((product) => product.name !== '')
    .mapValues((product) => ({ label: product.name, brand: product.brand }))
    .join(products${n === 0 ? n : n - 1}, (row) => row.brand, (row, other) => ({ ...row, other: other.name, price: other.price }))
    .leftJoin(sums${n}, (row, sum) => ({ ...row, cents: sum?.cents ?? 0 }))
  const { big${n}, small${n} } = orders${n}
    .join(names${n}, (order, row) => ({ ...order, label: row.label }), { on: (order) => order.product, buffer: { timeout: '1m' }, store: 'waiting-${n}' })
    .flatMap((order) => [[order.customer, order] as const], { key: string() })
    .dedupe({ store: 'ids-${n}', id: (order) => order.id, retention: '1h' })
    .split({ big${n}: (order) => order.cents > 1000 }, { default: 'small${n}' })
  big${n}
    .join(small${n}, (left, right, key) => ({ key, cents: left.cents + right.cents, label: left.label }), within('5m', { grace: '1m' }), { store: 'pairs-${n}' })
    .merge(small${n}.map((order, key) => [key, { key, cents: order.cents, label: order.label }], { key: string() }))
    .groupByKey()
    .windowedBy(tumbling('5m', { grace: '30s' }))
    .aggregate(() => ({ n: 0 }), (state, pair) => ({ n: state.n + pair.cents }), { store: 'windows-${n}' })
    .toStream((row, key) => \`\${key.key} \${row.n}\`, { key: string() })
    .to('out-${n}', { key: string(), value: json<{ n: number }>() })
`

const program = (units: number, more = ''): string => `import { json, string, topology, tumbling, within } from 'millrace'
interface Order { id: string; customer: string; product: string; cents: number; at: number }
interface Product { version: number; deleted: boolean; name: string; brand: string; price: number }
export const named: [Order?, Product?] = []
export default topology('compiled', (t) => {
  t.table('first', { key: string(), value: json<Order>() })
  string, json, tumbling, within
${Array.from({ length: units }, (_, n) => unit(n)).join('')}${more}})
`

interface Spent {
  readonly wallSeconds: number
  readonly cpuSeconds: number
}

/** The declarations of the package, in a folder. */
function declarations(folder: string): string {
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  const args = ['-p', join(root, 'tsconfig.build.json'), '--emitDeclarationOnly', '--declaration', '--outDir', folder]
  const { status, stdout } = spawnSync(process.execPath, [tsc, ...args], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`no declarations: ${stdout.slice(0, 2_000)}`)
  return join(folder, 'index.d.ts')
}

function compiled(units: number, entry: string, more = ''): Spent | null {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-compile-'))
  try {
    writeFileSync(
      join(folder, 'program.ts'),
      program(units, more).replace('  string, json, tumbling, within\n', '  void [string, json, tumbling, within]\n'),
    )
    const compilerOptions = {
      module: 'preserve',
      moduleResolution: 'bundler',
      noEmit: true,
      paths: { millrace: [entry] },
      typeRoots: [join(root, 'node_modules/@types')],
    }
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({ extends: join(root, 'tsconfig.json'), compilerOptions, files: ['program.ts'], include: [] }),
    )
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    const { status, stdout, stderr } = spawnSync(
      'bash',
      ['-c', `TIMEFORMAT='%R %U %S'; time '${process.execPath}' '${tsc}' -p '${folder}'`],
      {
        encoding: 'utf8',
      },
    )
    if (status !== 0 && more !== '') return null
    if (status !== 0) throw new Error(`it does not compile: ${stdout.slice(0, 2_000)}`)
    const [wall = 0, user = 0, system = 0] = (stderr.trim().split('\n').at(-1) as string).split(' ').map(Number)
    return { wallSeconds: wall, cpuSeconds: user + system }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Of several rounds the shortest: what else the machine does only adds. */
function least(units: number, entry: string, rounds: number): Spent {
  const wrong = "t.stream<string, Order>('x').filter((order) => order.prize > 1)"
  if (compiled(units, entry, wrong) !== null) throw new Error('nothing is checked')
  const all = Array.from({ length: rounds }, () => compiled(units, entry) as Spent)
  return { wallSeconds: Math.min(...all.map((it) => it.wallSeconds)), cpuSeconds: Math.min(...all.map((it) => it.cpuSeconds)) }
}

export function benchCompile(rounds = 3): void {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-declarations-'))
  try {
    const entries = { declarations: declarations(folder), sources: join(root, 'src/index.ts') }
    for (const [name, entry] of Object.entries(entries)) {
      for (const units of [0, 10]) {
        const { wallSeconds, cpuSeconds } = least(units, entry, rounds)
        const what = `types, our ${name}${units === 0 ? ' alone' : ` and ${units * OPERATORS_A_UNIT} operators`}`
        console.log(`${what.padEnd(44)} ${wallSeconds.toFixed(2)} s  ${cpuSeconds.toFixed(2)} s CPU`)
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) benchCompile()
