// The commands of the documents that test/docs.test.ts does not type, and what runs them instead: a file and a text in it.
export interface Cover {
  readonly file: string
  readonly text: string
}

const gate = (text: string): Cover => ({ file: '.ci/run', text })
const kafka: Cover = { file: 'test/kafka/docs.kafka.test.ts', text: 'topologies/README.md' }
const scenario = (name: string): Cover => ({ file: 'test/topologies/scenario.test.ts', text: `npm run scenario ${name}` })
const demo: Cover = { file: 'test/topologies/demo.test.ts', text: 'scripts/demo.ts' }

export const ELSEWHERE: Readonly<Record<string, Cover>> = {
  'git clone <this repository> millrace && cd millrace && npm ci': gate('npm ci'),
  'npm ci && npm run demo': demo,
  'npm ci && npm test': gate('`npm test` is lint, types and tests'),
  'npm ci': gate('npm ci'),
  'npm run demo': demo,
  'npm install pg': { file: 'test/outbox/command.test.ts', text: 'npm install pg' },
  'npm run scenario <name>': { file: 'package.json', text: '"scenario": "node scripts/scenario.ts"' },
  'npm run scenario catalog': scenario('catalog'),
  'npm run scenario wallet': scenario('wallet'),
  'npm run scenario orders': scenario('orders'),
  'npm run scenario engagements': scenario('engagements'),
  'npm run scenario pipeline': scenario('pipeline'),
  'npm run scenario <name> -- --brokers <addresses>': { file: 'test/kafka/scenarios.kafka.test.ts', text: '-- --brokers' },
  'npx millrace run <file> --brokers <addresses>': kafka,
  'npm test': gate('`npm test` is lint, types and tests'),
  'npm run verify': gate('format:check'),
  'npm run format': { file: 'package.json', text: '"format": "biome format --write ."' },
  'npm run unit -- test/state': gate('suite unit'),
  'npm run test:kafka': gate('suite kafka'),
  'npm run test:merge': gate('suite merge'),
  'npm run sim -- --seeds 50000': { file: 'package.json', text: 'test/sim/cli.ts --seeds 50000' },
  'npm run sim -- --seed 7 --trace': { file: 'package.json', text: '"sim": "node test/sim/cli.ts"' },
  'npm run sim:mutants': gate('npm run --silent sim:mutants'),
  'npm run soak -- --minutes N': { file: 'package.json', text: '"soak": "node scripts/soak.ts"' },
  'npm run test:package': gate('suite package'),
  'npm run test:page': gate('suite page'),
  'npm run docs:api': gate('npm run --silent docs:api'),
  'npm run build': { file: 'test/package/package.test.ts', text: 'npm pack' },
  'npm publish': { file: 'test/package/package.test.ts', text: 'npm pack' },
  'node scripts/pack.ts restore': { file: 'package.json', text: '"postpack": "node scripts/pack.ts restore"' },
  '.ci/run': { file: '.ci/run', text: 'passed, %d failed' },
  // Vitest is what runs it here, too.
  'npx vitest run test/topologies/orders-by-customer.test.ts': {
    file: 'test/topologies/orders-by-customer.test.ts',
    text: 'any order of arrival gives the same totals',
  },
}

/** Commands for a real Kafka; the Kafka suite types those of topologies/README.md. */
export const isKafka = (command: string): boolean => /localhost:9092/.test(command)
export const KAFKA_COVER = kafka
