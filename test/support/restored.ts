// Loaded into a `millrace run` before its command: it says on stderr how many records its start restored. Changes nothing else.
import { writeSync } from 'node:fs'
import { StreamProcessor } from '../../src/app.ts'

const { start } = StreamProcessor.prototype
StreamProcessor.prototype.start = async function () {
  await start.call(this)
  writeSync(2, `${JSON.stringify({ restored: this.status().restored })}\n`)
}
