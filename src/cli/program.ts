// The commands: their words, flags and help. Each one's work is imported when it is called, so that `--version` loads nothing.
import { readFileSync } from 'node:fs'
import { Command, InvalidArgumentError, Option } from 'commander'
import { DATABASES } from '../outbox/ddl.ts'
import { DESCRIBE_FORMATS } from '../topology/describe/formats.ts'
import { SHELLS } from './shells.ts'

/** package.json lies two folders up, from src/cli as from dist/cli. */
function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { readonly version: string }).version
}

function whole(min: number, max: number): (text: string) => number {
  return (text) => {
    const n = Number(text)
    if (!/^\d{1,15}$/.test(text) || n < min || n > max) throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`)
    return n
  }
}

const example = (...lines: readonly string[]): string =>
  `\nExample${lines.length > 1 ? 's' : ''}:\n${lines.map((line) => `  $ ${line}`).join('\n')}\n`

const brokers = (): Option => new Option('--brokers <host:port,...>', 'Kafka to work on; without it the embedded log')
const stateDir = (text = 'folder of the embedded log and the stores'): Option => new Option('--state-dir <folder>', text)
const config = (): Option => new Option('--config <file>', 'options from a .json file, or the default export of a .ts file')
const applicationId = (): Option =>
  new Option('--application-id <id>', "consumer group and prefix of internal topics (default: the topology's name)")

export function buildProgram(): Command {
  const program = new Command('millrace')
    .description('A stateful stream processor: topologies in TypeScript, on Kafka or on an embedded log.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this, or the help of a command')
    .helpCommand('help [command]', 'print the help of a command')
    .option('--verbose', 'stack traces with errors, debug messages in the log')
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .showHelpAfterError(false)
    .addHelpText('after', example('millrace describe topologies/catalog.ts', 'millrace dev topologies/catalog.ts'))

  const command = (name: string, description: string): Command =>
    program
      .command(name)
      .description(description)
      .option('--verbose', 'stack traces with errors, debug messages in the log')
      .allowExcessArguments(false)

  const processing = (c: Command): Command =>
    c
      .argument('<file>', 'the topology file (default export: a topology)')
      .addOption(stateDir('folder of the stores and the embedded log (default: .millrace/<application id>)'))
      .addOption(applicationId())
      .addOption(new Option('--commit-interval <duration>', 'time between two commits, such as 100ms'))
      .addOption(new Option('--port <n>', 'HTTP port for health, metrics and stores; 0 takes a free one (default: none is opened)'))
      .addOption(new Option('--host <address>', 'address for --port; one that is not loopback needs a token (default: 127.0.0.1)'))
      .addOption(new Option('--advertise <host:port>', 'where the other processes of the application reach --port (default: its address)'))
      .addOption(new Option('--token-file <file>', 'file with the token for --port, 32 bytes or more (or MILLRACE_TOKEN)'))
      .addOption(config())
      .addOption(new Option('--json', 'log as JSON lines, also on a terminal'))

  processing(command('run', 'Run a topology until SIGTERM or SIGINT: on Kafka with --brokers, else on the embedded log.'))
    .addOption(brokers())
    .addOption(new Option('--workers <n>', 'event loops in this process, each in a thread; several need --brokers (default: 1)'))
    .addOption(new Option('--standbys <n>', 'other processes that keep the stores of each task current (default: 0)'))
    .addOption(new Option('--instance-id <name>', 'a name of its own that this process keeps: a restart within 45 s moves no task'))
    .addOption(new Option('--guarantee <which>', 'exactly_once (default) or at_least_once'))
    .addHelpText(
      'after',
      `\nOptions also come from MILLRACE_* (MILLRACE_BROKERS, MILLRACE_STATE_DIR, ...) and --config; a flag beats the\nenvironment, the environment beats the file.\n${example(
        'millrace run topologies/catalog.ts --brokers localhost:9092',
        'millrace run topologies/catalog.ts --state-dir state',
      )}`,
    )
    .action(async (file: string, flags) => (await import('./run.ts')).run(file, flags))

  processing(command('dev', 'Run a topology on the embedded log with the live page, started anew when its file changes.'))
    .addOption(new Option('--ephemeral', 'keep the log and the stores in a folder that is removed at the end'))
    .addHelpText(
      'after',
      `\nWithout --port the live page is on the first free port from 7070 to 7089. The state stays over restarts; a change that\ncannot run is told, and the topology as it was goes on.\n${example(
        'millrace dev topologies/catalog.ts',
        'millrace dev topologies/catalog.ts --state-dir state --port 8080',
      )}`,
    )
    .action(async (file: string, flags) => (await import('./dev.ts')).dev(file, flags))

  command('try', 'Run a topology in process as a filter: records as NDJSON on stdin, its outputs as NDJSON on stdout.')
    .argument('<file>', 'the topology file')
    .addOption(new Option('--partitions <n>', 'partitions of every input topic').argParser(whole(1, 1024)).default(1))
    .addOption(new Option('--seed <n>', 'seed of what is left to chance').argParser(whole(0, Number.MAX_SAFE_INTEGER)))
    .addHelpText(
      'after',
      `
Lines: {"topic":"orders","key":"a","value":{"n":1},"timestamp":0,"partition":0,"headers":{"h":"text"}}
       {"advance":"30s"}  {"commit":true}  {"crash":true}  {"reset":true}
${example(`echo '{"topic":"orders","key":"a","value":{"n":1}}' | millrace try topologies/orders.ts`)}`,
    )
    .action(async (file: string, flags) => (await import('./try.ts')).tryFile(file, flags))

  command('describe', 'Print what a topology is: sub-topologies, topics, stores. Does no I/O.')
    .argument('<file>', 'the topology file')
    .addOption(new Option('--format <format>', 'how').choices(DESCRIBE_FORMATS).default('text'))
    .addOption(applicationId())
    .addHelpText(
      'after',
      example('millrace describe topologies/catalog.ts', 'millrace describe topologies/catalog.ts --format svg > catalog.svg'),
    )
    .action(async (file: string, flags) => (await import('./describe.ts')).describeFile(file, flags))

  const reaching = (c: Command): Command =>
    c
      .addOption(stateDir('state directory of a `run` or `dev`, running or not'))
      .addOption(brokers())
      .addOption(new Option('--topology <file>', 'the topology file, for its serdes; a state directory knows its own'))
      .addOption(applicationId())
      .addOption(config())

  reaching(command('produce', 'Write records (the lines of `try`) from stdin to their topics. Status 0: all are durable.'))
    .addOption(new Option('--partitions <n>', 'partitions of input topics that it makes on an embedded log').argParser(whole(1, 1024)))
    .addHelpText('after', example('millrace produce --state-dir state < orders.ndjson'))
    .action(async (flags) => (await import('./produce.ts')).produce(flags))

  reaching(command('consume', 'Print all committed records of a topic up to its present end, as the lines of `try`.'))
    .argument('<topic>', 'the topic')
    .addOption(new Option('--follow', 'go on with what comes later'))
    .addHelpText('after', example('millrace consume catalog --state-dir state', 'millrace consume catalog --state-dir state --follow'))
    .action(async (topic: string, flags) => (await import('./consume.ts')).consume(topic, flags))

  reaching(command('query', 'Print the committed value of a key in a store, as JSON; or rows, windows or versions, one a line.'))
    .argument('<store>', 'the store')
    .argument('[key]', 'the key: as text, or as JSON for a serde that takes no text; none: all rows, or those of a range')
    .addOption(new Option('--from <key or ms>', 'first key; of windows and versions the first time, epoch ms'))
    .addOption(new Option('--to <key or ms>', 'last key, or last time; both are inclusive'))
    .addOption(new Option('--prefix <text>', 'what the bytes of the keys begin with'))
    .addOption(new Option('--windows', 'windows or sessions, of the key or of all keys, that --from and --to select'))
    .addOption(new Option('--key-from <key>', 'with --windows: the first key'))
    .addOption(new Option('--key-to <key>', 'with --windows: the last key'))
    .addOption(new Option('--versions', 'versions of the key that held between --from and --to, the latest first'))
    .addOption(new Option('--as-of <ms>', 'the version of the key that held then'))
    .addOption(new Option('--limit <n>', 'rows at most').argParser(whole(1, 1e9)))
    .addOption(new Option('--url <url>', 'ask a running process by HTTP, wherever it is: http://host:port'))
    .addOption(new Option('--token-file <file>', 'with --url: file with its token (or MILLRACE_TOKEN)'))
    .addHelpText(
      'after',
      example(
        'millrace query products p1 --state-dir state',
        'millrace query products --prefix p --limit 10 --state-dir state',
        'millrace query products p1 --url http://127.0.0.1:8080',
      ),
    )
    .action(async (store: string, key: string | undefined, flags) => (await import('./query.ts')).query(store, key, flags))

  const letters = program
    .command('dead-letter')
    .description('Show the records that were given up; write them back to their topics, or drop them.')
    .addHelpText(
      'after',
      example(
        'millrace dead-letter list --state-dir state',
        'millrace dead-letter replay --state-dir state --key order-1',
        'millrace dead-letter drop --state-dir state --offset 0:17',
      ),
    )
  const lettering = (name: string, description: string): Command =>
    reaching(
      letters
        .command(name)
        .description(description)
        .option('--verbose', 'stack traces with errors, debug messages in the log')
        .allowExcessArguments(false)
        .addOption(
          new Option('--offset <partition:offset>', 'this one, as list shows it; may be said several times').argParser(
            (place: string, others: readonly string[] = []) => [...others, place],
          ),
        )
        .addOption(new Option('--key <key>', 'those of this key, as list shows it'))
        .addOption(new Option('--topic <topic>', 'those of records that were read from this topic'))
        .addOption(
          new Option('--since <time>', 'those of records of this time or later: epoch ms, an ISO date, or a duration ago, such as 2h'),
        )
        .addOption(new Option('--limit <n>', 'the first n of them').argParser(whole(1, 1e9)))
        .addOption(new Option('--json', 'JSON lines')),
    )

  lettering('list', 'Print the dead letters that were neither replayed nor dropped.')
    .addOption(new Option('--all', 'those that were, too'))
    .addHelpText(
      'after',
      example('millrace dead-letter list --state-dir state --since 2h', 'millrace dead-letter list --state-dir state --json'),
    )
    .action(async (flags) => (await import('./dead-letter.ts')).listLetters(flags))
  lettering('replay', 'Write dead letters back to the topics and partitions that they came from, each once; without an option all of them.')
    .addOption(new Option('--rate <n>', 'records a second').argParser(whole(1, 1e6)).default(100))
    .addOption(new Option('--to-input', 'those whose key waits too: blockKey was switched off, and nobody waits for them any more'))
    .addHelpText('after', example('millrace dead-letter replay --state-dir state --topic orders --rate 500'))
    .action(async (flags) => (await import('./dead-letter.ts')).settleLetters('replay', flags))
  lettering('drop', 'Take dead letters off the list without replaying them. They stay in their topic.')
    .addOption(new Option('--all', 'all of them; else name some'))
    .addHelpText('after', example('millrace dead-letter drop --state-dir state --offset 0:17'))
    .action(async (flags) => (await import('./dead-letter.ts')).settleLetters('drop', flags))

  command('outbox', 'Relay the rows of an outbox table to their topics, in commit order of each key, each once, until SIGTERM or SIGINT.')
    .addOption(new Option('--database <address>', 'postgres://user@host/database, or an SQLite file (or MILLRACE_DATABASE)'))
    .addOption(new Option('--table <name>', 'the table, also as schema.table').default('outbox'))
    .addOption(new Option('--name <name>', 'of this relay; two outboxes on one log need two').default('outbox'))
    .addOption(new Option('--topic <topic>', 'of all rows; without it the column topic names it'))
    .addOption(new Option('--rate <n>', 'rows a second at most (default: 10000)').argParser(whole(1, 1e6)))
    .addOption(new Option('--poll-interval <duration>', 'how often the table is looked at, such as 2s (default: 500ms)'))
    .addOption(new Option('--once', 'end when all is relayed that was there'))
    .addOption(new Option('--port <n>', 'metrics and health by HTTP, on 127.0.0.1; 0 takes a free one').argParser(whole(0, 65_535)))
    .addOption(new Option('--ddl <database>', 'print the SQL that makes the table, and do no more').choices(DATABASES))
    .addOption(brokers())
    .addOption(stateDir('folder of the embedded log (default: .millrace/<name>)'))
    .addOption(new Option('--partitions <n>', 'partitions of topics that it makes on an embedded log').argParser(whole(1, 1024)))
    .addOption(config())
    .addOption(new Option('--json', 'log as JSON lines, also on a terminal'))
    .addHelpText(
      'after',
      example(
        'millrace outbox --ddl postgres | psql shop',
        'millrace outbox --database postgres://app@localhost/shop --brokers localhost:9092',
        'millrace outbox --database shop.db --state-dir state --once',
      ),
    )
    .action(async (flags) => (await import('./outbox.ts')).outbox(flags))

  command('reset', 'Begin anew: offsets to the beginning, internal topics and stores deleted. Outputs and dead letters stay.')
    .argument('<file>', 'the topology file')
    .addOption(stateDir('folder of the stores and the embedded log (default: .millrace/<application id>)'))
    .addOption(brokers())
    .addOption(applicationId())
    .addOption(config())
    .addOption(new Option('--dry-run', 'show what would be done, change nothing'))
    .addOption(new Option('--json', 'one JSON object instead of lines'))
    .addHelpText('after', example('millrace reset topologies/catalog.ts --state-dir state --dry-run'))
    .action(async (file: string, flags) => (await import('./reset.ts')).reset(file, flags))

  command('verify', 'Hold the stores of a state directory against their changelogs. Status 1: one is not what its changelog says.')
    .argument('<file>', 'the topology file')
    .addOption(stateDir('folder of the stores and the embedded log (default: .millrace/<application id>)'))
    .addOption(brokers())
    .addOption(applicationId())
    .addOption(config())
    .addOption(new Option('--rebuild', 'set those aside that are not, and restore them'))
    .addOption(new Option('--json', 'JSON lines'))
    .addHelpText('after', example('millrace verify topologies/catalog.ts --state-dir state --rebuild'))
    .action(async (file: string, flags) => (await import('./verify.ts')).verify(file, flags))

  command('top', 'Watch a running process: rates, lag and epochs, in all and by task. On a terminal until q; else once.')
    .addOption(stateDir('state directory of the process'))
    .addOption(new Option('--interval <duration>', 'between two looks').default('1s'))
    .addOption(new Option('--once', 'print it once, also on a terminal'))
    .addOption(new Option('--json', 'print the totals once, as JSON'))
    .addOption(config())
    .addHelpText('after', example('millrace top --state-dir state', 'millrace top --state-dir state --once'))
    .action(async (flags) => (await import('./top.ts')).top(flags))

  command('init', 'Make a new project: a topology, a test of it in any order of events, package.json, tsconfig.json.')
    .argument('<folder>', 'where; it must not be there, or be empty')
    .addOption(new Option('--name <name>', "of the project and its topology (default: the folder's)"))
    .addHelpText('after', example('millrace init shop && cd shop && npm install && npm test'))
    .action(async (folder: string, flags) => (await import('./init.ts')).init(folder, flags, version()))

  command('completion', 'Print what a shell needs to complete the words of millrace.')
    .argument('<shell>', SHELLS.join(', '))
    .addHelpText(
      'after',
      example(
        'source <(millrace completion bash)',
        'millrace completion zsh > "${fpath[1]}/_millrace"',
        'millrace completion fish > ~/.config/fish/completions/millrace.fish',
      ),
    )
    .action(async (shell: string) => (await import('./completion.ts')).printCompletion(program, shell))

  return program
}
