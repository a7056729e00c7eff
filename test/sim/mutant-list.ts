// Bugs to plant, each a few words changed in a copy of the sources; `npm run sim:mutants` runs the simulator over each copy. Nothing
// here reaches the product. Where a rule is kept by the Kafka adapter or by LevelDB, which are not simulated, the simulator's stand-in
// for it is changed instead.
//
// Invariants
// 1. `from` stands exactly once in its file (a test sees to it), so that a bug is planted where it is meant to be.
// 2. Only the checks that see what the bug does count: an accident of another kind is not taken for its discovery.
import type { CheckName } from './history.ts'
import type { FaultKind } from './nemesis.ts'

export interface Edit {
  readonly file: string
  readonly from: string
  readonly to: string
}

export interface Mutant {
  readonly id: string
  readonly what: string
  /** One of these checks must find it. */
  readonly by: readonly CheckName[]
  readonly edits: readonly Edit[]
  /** It must be found within so many seeds. */
  readonly seedsMax: number
  /** The one topology that can show it. */
  readonly case?: string
  /** The faults that show it soonest. */
  readonly kinds?: readonly FaultKind[]
}

export const MUTANTS: readonly Mutant[] = [
  {
    id: '1',
    what: 'the end of a transaction is asked for again under the same producer epoch (R2)',
    by: ['D', 'L', 'B'],
    edits: [
      {
        file: 'src/log/outcome.ts',
        from: 'export function outcome(',
        to: "for (const name of [NETWORK, TIMEOUT]) byKind.set(`end/${name}`, { kinds: ['end'], names: [name], outcome: 'refresh', reason: '' })\nexport function outcome(",
      },
    ],
    seedsMax: 5_000,
    kinds: ['late', 'weather'],
  },
  {
    id: '2',
    what: 'the store is written before the commit (R1)',
    by: ['B'],
    edits: [
      { file: 'src/barrier/barrier.ts', from: "if (guarantee === 'exactly_once') {", to: "if (guarantee !== 'exactly_once') {" },
      {
        file: 'src/barrier/machine.ts',
        from: "const order = guarantee === 'exactly_once' ? EXACTLY_ONCE : AT_LEAST_ONCE",
        to: "const order = guarantee !== 'exactly_once' ? EXACTLY_ONCE : AT_LEAST_ONCE",
      },
    ],
    seedsMax: 100,
  },
  {
    id: '3',
    what: 'the checkpoint is written after the entries, in a batch of its own (R1)',
    by: ['B'],
    edits: [
      {
        file: 'src/state/overlay.ts',
        from: 'if (sealed.size > 0) await this.store.apply([...sealed.values()], checkpoint)',
        to: 'if (sealed.size > 0) {\n await this.store.apply([...sealed.values()], this.store.checkpoint() ?? { changelogOffset: 0 })\n await this.store.apply([], checkpoint)\n }',
      },
    ],
    seedsMax: 2_000,
  },
  {
    id: '3b',
    what: 'the checkpoint is written before the entries, in a batch of its own (R1)',
    by: ['B'],
    edits: [
      {
        file: 'src/state/overlay.ts',
        from: 'if (sealed.size > 0) await this.store.apply([...sealed.values()], checkpoint)',
        to: 'if (sealed.size > 0) {\n await this.store.apply([], checkpoint)\n await this.store.apply([...sealed.values()], checkpoint)\n }',
      },
    ],
    seedsMax: 2_000,
  },
  {
    id: '4',
    what: 'a restore writes the end it is to reach as its checkpoint, not what it has applied (KAFKA-16017)',
    by: ['B'],
    edits: [
      {
        file: 'src/state/restore.ts',
        from: 'loader.apply({ changelogOffset: at, ...since })',
        to: 'loader.apply({ changelogOffset: options.endOffset ?? at, ...since })',
      },
    ],
    seedsMax: 5_000,
  },
  {
    id: '5',
    what: 'the checkpoint of an epoch that was aborted is kept over the rewind (KAFKA-10362, KAFKA-20685)',
    by: ['B'],
    edits: [
      {
        file: 'src/barrier/barrier.ts',
        from: "      this.#advance('committing')\n      await writer.commit(identity, groupId, offsets)\n      this.#advance('applying')",
        to: "      this.#advance('committing')\n      await writer.commit(identity, groupId, offsets).catch(async (error) => {\n        for (const each of participants) (each as { drop(): void }).drop()\n        await applyAll(participants, ends)\n        throw error\n      })\n      this.#advance('applying')",
      },
      {
        file: 'src/state/overlay.ts',
        from: '    if (sealed === null) return\n    if (sealed.size > 0)',
        to: '    if (sealed === null) return this.store.apply([], checkpoint)\n    if (sealed.size > 0)',
      },
    ],
    seedsMax: 2_000,
  },
  {
    id: '6',
    what: 'a store is fed from the uncommitted tail of its changelog (KAFKA-9891)',
    by: ['B'],
    edits: [
      {
        file: 'src/runtime/recover.ts',
        from: '  const reader = deps.log.reader()\n',
        to: "  const reader = deps.log.reader({ isolation: 'uncommitted' })\n",
      },
    ],
    seedsMax: 2_000,
  },
  {
    id: '6b',
    what: 'a standby reads the uncommitted tail of its changelog, and is promoted with it (KAFKA-9891)',
    by: ['B'],
    edits: [
      {
        file: 'src/runtime/standbys.ts',
        from: 'this.#deps.log.reader()',
        to: "this.#deps.log.reader({ isolation: 'uncommitted' })",
      },
    ],
    seedsMax: 2_000,
  },
  {
    id: '6c',
    what: 'a standby that was promoted is written on beside the task',
    by: ['B'],
    edits: [
      {
        file: 'src/runtime/standbys.ts',
        from: 'if (at?.standby.ready !== true) continue',
        to: 'if (at === undefined) continue',
      },
      {
        file: 'src/runtime/standbys.ts',
        from: 'if (this.#changed) this.#assign(reader)',
        to: 'if (this.#byPartition.size === 0) this.#assign(reader)',
      },
    ],
    seedsMax: 2_000,
  },
  {
    id: '7',
    what: 'nobody is fenced at a start: the process before keeps its producer epoch (R4)',
    by: ['D', 'B'],
    edits: [
      {
        file: 'test/sim/log/transactions.ts',
        from: "    if (txn.state === 'ongoing') {\n      txn.epoch++\n      this.#begin(txn, false)",
        to: "    if (txn.epoch >= 0) return { pid: txn.pid, epoch: txn.epoch }\n    if (txn.state === 'ongoing') {\n      txn.epoch++\n      this.#begin(txn, false)",
      },
    ],
    seedsMax: 2_000,
  },
  {
    id: '8',
    what: 'committed positions are read without waiting for the transaction that is being ended (KIP-447, R3)',
    by: ['D'],
    edits: [
      {
        file: 'test/sim/log/client.ts',
        from: 'this.cluster.group(groupId).fetchOffsets(names, true)',
        to: 'this.cluster.group(groupId).fetchOffsets(names, false)',
      },
    ],
    seedsMax: 5_000,
    kinds: ['stop', 'groups'],
  },
  {
    id: '9',
    what: 'a task is given up without its last epoch',
    by: ['D'],
    edits: [
      {
        file: 'src/runtime/worker.ts',
        from: '      if (this.barrier.failure !== null || !(await this.#flushed())) return false\n      for',
        to: '      if (this.barrier.failure !== null) return false\n      for',
      },
    ],
    seedsMax: 2_000,
  },
  {
    id: '10',
    what: 'what the next epoch has written already is not dropped when the sealed one is aborted',
    by: ['S', 'D', 'B'],
    edits: [
      {
        file: 'src/runtime/worker.ts',
        from: '  async #rewind(): Promise<void> {\n',
        to: '  async #rewind(): Promise<void> {\n    const { deps } = this.#o\n    const sound = ![...this.tasks.values()].some((task) => task.stores.some(({ overlay }) => overlay.store.damaged !== null))\n    const moving = this.#lost.length + this.#leaving.length + this.#moves.incoming.length > 0\n    if (sound && this.tasks.size > 0 && !moving) {\n      await this.barrier.settled().catch(() => {})\n      for (const task of this.tasks.values()) for (const { overlay } of task.stores) overlay.dropSealed()\n      await this.#writer.init()\n      for (const task of this.tasks.values()) await rewindQueues(deps, task.queues)\n      this.barrier.recover()\n      this.#stale = false\n      this.#reader.assign([])\n      return this.#readTasks()\n    }\n',
      },
      { file: 'src/runtime/worker.ts', from: 'inputTopicsOf, type TaskDeps', to: 'inputTopicsOf, rewindQueues, type TaskDeps' },
      {
        file: 'src/state/overlay.ts',
        from: '  /** Loses the open and the sealed epoch. */\n',
        to: '  dropSealed(): void {\n    this.#sealed = null\n    this.#sealedIndex.clear()\n    this.#rows.clear()\n  }\n\n  /** Loses the open and the sealed epoch. */\n',
      },
    ],
    seedsMax: 2_000,
  },
  {
    id: '11',
    what: 'of two equal versions the later event wins: no tie-break by the value',
    by: ['B', 'D'],
    edits: [
      {
        file: 'src/operators/last-write-wins.ts',
        from: '  if (order !== 0) return order\n  if (!bytes.equals',
        to: '  if (order >= 0) return 1\n  if (order !== 0) return order\n  if (!bytes.equals',
      },
    ],
    seedsMax: 100,
  },
  {
    id: '12',
    what: 'a delete drops the version',
    by: ['B', 'D', 'S'],
    edits: [
      {
        file: 'src/operators/last-write-wins.ts',
        from: 'store.putBytes(keyBytes, encodeRegister(deleted, version, bytes), timestamp)',
        to: 'store.putBytes(keyBytes, deleted ? null : encodeRegister(deleted, version, bytes), timestamp)',
      },
    ],
    seedsMax: 100,
  },
  {
    id: '13',
    what: 'a record that waits is given up at its timeout instead of after it, when its row comes just then',
    by: ['S'],
    edits: [
      {
        file: 'src/operators/parking-lot.ts',
        from: 'if (context.streamTime > streamEnd(head)) {',
        to: 'if (context.streamTime >= streamEnd(head)) {',
      },
    ],
    seedsMax: 500,
    case: 'waiting',
  },
  {
    id: '13a',
    what: 'a delete is forgotten at its retention instead of after it',
    by: ['B', 'D', 'Q'],
    edits: [
      {
        file: 'src/operators/last-write-wins.ts',
        from: 'streamTime - row.timestamp > retentionMs ? null : held',
        to: 'streamTime - row.timestamp >= retentionMs ? null : held',
      },
    ],
    seedsMax: 500,
    case: 'register',
  },
  {
    id: '13b',
    what: 'a window takes a record at its close instead of until it',
    by: ['D'],
    edits: [
      {
        file: 'src/operators/time-windows.ts',
        from: 'if (start + sizeMs > closeTime) update(',
        to: 'if (start + sizeMs >= closeTime) update(',
      },
    ],
    seedsMax: 500,
    case: 'windows',
  },
  {
    id: '14',
    what: 'a write error is answered by writing on; at the next opening what came after it is gone (E2b, R5)',
    by: ['B', 'S'],
    edits: [
      {
        file: 'test/sim/disk.ts',
        from: "      this.#faults.refuseWrites--\n      this.#break('a write was refused')",
        to: '      this.#faults.refuseWrites--\n      this.#content.brokenAt = this.#content.batches.length + 1',
      },
      {
        file: 'test/sim/disk.ts',
        from: "const rebuilt = content !== undefined && content.brokenAt >= 0 ? 'it was damaged' : null",
        to: 'const rebuilt = null\n        if (content !== undefined && content.brokenAt > 0) {\n          const { checkpoint } = content\n          replay(content, content.batches.slice(0, content.brokenAt - 1))\n          content.checkpoint = checkpoint\n          content.brokenAt = -1\n        }',
      },
    ],
    seedsMax: 2_000,
  },
  {
    id: '15',
    what: 'a store is restored to the last stable offset, whatever is open behind it (found by this simulator)',
    by: ['F'],
    edits: [
      {
        file: 'src/runtime/recover.ts',
        from: "deps.log.offsets([changelog], spec.changelog ? 'settled' : 'latest')",
        to: "deps.log.offsets([changelog], 'latest')",
      },
    ],
    seedsMax: 5_000,
  },
  {
    id: '16',
    what: 'a partition is read on from where it was after a rewind',
    by: ['R', 'L'],
    edits: [{ file: 'src/runtime/worker.ts', from: '    this.#reader.assign([])\n', to: '' }],
    seedsMax: 5_000,
  },
  {
    id: '17',
    what: 'a task is given to its new owner before the old one has let go',
    by: ['S', 'B'],
    edits: [
      {
        file: 'src/assignment/hand-over.ts',
        from: '=> !standing.has(id) || standing.get(id) === memberId',
        to: '=> id !== memberId',
      },
    ],
    seedsMax: 2_000,
  },
  {
    id: '18',
    what: 'at least once: who waits for the writer waits on when a store has failed (found by this simulator)',
    by: ['R', 'L'],
    edits: [{ file: 'src/runtime/worker.ts', from: 'await barrier.drained()', to: 'await this.#writer.drain()' }],
    seedsMax: 2_000,
    case: 'latest',
  },
  {
    id: '19',
    what: 'at least once: changelogs are sent together with the outputs (found by this simulator)',
    by: ['L'],
    edits: [
      {
        file: 'src/barrier/barrier.ts',
        from: "this.#o.guarantee === 'exactly_once' ? this.#append",
        to: 'this.#append !== null ? this.#append',
      },
    ],
    seedsMax: 5_000,
    case: 'latest',
  },
  {
    id: '20',
    what: 'a record overtakes one of its key that waits for another row',
    by: ['O'],
    edits: [
      {
        file: 'src/operators/buffering-join.ts',
        from: 'const row = parking.holds(own) ? null : table(tableKey.decode(foreignKey))',
        to: 'const row = table(tableKey.decode(foreignKey))',
      },
    ],
    seedsMax: 500,
    case: 'foreign',
  },
  {
    id: '21',
    what: 'what a record had staged before a function threw is sent all the same',
    by: ['D'],
    edits: [
      {
        file: 'src/runtime/task.ts',
        from: '    this.program.staged.length = 0\n    const suspend = suspendOf(error)',
        to: '    const suspend = suspendOf(error)',
      },
    ],
    seedsMax: 500,
    case: 'sums',
  },
  {
    id: '22',
    what: 'what timers alone have made is committed without a position, so nobody looks at the generation (found by this simulator)',
    by: ['O', 'D'],
    edits: [{ file: 'src/runtime/positions.ts', from: 'timers.changed || unmoved', to: 'timers.changed' }],
    seedsMax: 3_000,
    case: 'foreign',
    kinds: ['pause', 'ambush'],
  },
  {
    id: '23',
    what: "at least once: a store's changelog is written before those of the stores that it feeds (found by this simulator)",
    by: ['L'],
    edits: [{ file: 'src/barrier/barrier.ts', from: '.map(([topic]) => topic))].reverse()', to: '.map(([topic]) => topic))]' }],
    seedsMax: 5_000,
    case: 'join',
  },
  {
    id: '24',
    what: 'a standby of a table whose topic is its changelog goes on past what its task has committed',
    by: ['B'],
    edits: [
      {
        file: 'src/runtime/source-fed.ts',
        from: '(record.offset < end ? (rowOf(record, spec) ?? []) : [])',
        to: 'rowOf(record, spec) ?? []',
      },
      { file: 'src/runtime/source-fed.ts', from: 'Math.min(position, end)', to: 'position' },
      { file: 'src/runtime/standbys.ts', from: 'Math.min(chunk.position, end)', to: 'chunk.position' },
    ],
    seedsMax: 1_000,
    case: 'fed',
  },
  {
    id: '25',
    what: 'a row whose record became a dead letter is undone, though the topic that is its changelog has it',
    by: ['B', 'Q'],
    edits: [{ file: 'src/operators/to-table.ts', from: '{ undone: [', to: '{ reads: [[]], undone_: [' }],
    seedsMax: 100,
    case: 'fed',
  },
  {
    id: '26',
    what: 'the checkpoint of such a table is one offset too far',
    by: ['F', 'B'],
    edits: [
      {
        file: 'src/runtime/sealing.ts',
        from: 'return { changelogOffset: source.position, ...since }',
        to: 'return { changelogOffset: source.position + 1, ...since }',
      },
    ],
    seedsMax: 100,
    case: 'fed',
  },
  {
    id: '27',
    what: 'what fails again behind a dead letter goes to the end of what waits of its key',
    by: ['O'],
    edits: [
      {
        file: 'src/operators/blocked-rows.ts',
        from: "if (head?.state === 'record' && head.record.offset === entry.record.offset) {",
        to: 'if (head !== null && entry === null) {',
      },
    ],
    seedsMax: 100,
    case: 'blocked',
  },
  {
    id: '28',
    what: 'at least once: a foreign-key join does not take back what it does not know to be out (found by this simulator)',
    by: ['S'],
    edits: [{ file: 'src/operators/foreign-key-left.ts', from: '!state.out && !repeats)', to: '!state.out)' }],
    seedsMax: 8_000,
    case: 'join',
    kinds: ['refusedWrite', 'wipe'],
  },
]
