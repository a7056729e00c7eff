#!/usr/bin/env node
// Starts the command line on a Node that can run it: 24 or later, which strips types. An older one looks for the `node` package
// (its binary is in node_modules/node/bin/node) from the working directory upwards and from here upwards, and hands over to it.
// It never installs anything and loads nothing else before the version is known. Plain JavaScript that Node 12 can parse.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const NEEDED = 24
const here = dirname(fileURLToPath(import.meta.url))

const upwards = (from) => {
  const binary = process.platform === 'win32' ? 'node.exe' : 'node'
  for (let folder = from; ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', 'node', 'bin', binary)
    if (existsSync(candidate)) return candidate
    if (dirname(folder) === folder) return null
  }
}

const handOver = (binary) => {
  const child = spawn(binary, process.execArgv.concat(fileURLToPath(import.meta.url), process.argv.slice(2)), {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'], // the channel tells the child when this process is gone
    env: Object.assign({}, process.env, { MILLRACE_HANDED_OVER: '1' }),
  })
  // A terminal sends its signals to both; a supervisor to this process only. Twice is once to a process that is closing: see run.
  const forward = (signal) => child.kill(signal)
  const signals = ['SIGTERM', 'SIGHUP', 'SIGUSR2']
  for (const signal of signals) process.on(signal, forward)
  process.on('SIGINT', (signal) => {
    if (!process.stdin.isTTY) forward(signal)
  })
  child.on('error', (error) => {
    process.stderr.write(`millrace: ${binary} cannot be started: ${error.message}\n`)
    process.exit(1)
  })
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code === null ? 1 : code)
    for (const name of signals.concat('SIGINT')) process.removeAllListeners(name)
    process.kill(process.pid, signal)
  })
}

if (Number(process.versions.node.split('.')[0]) >= NEEDED) {
  const source = join(here, '..', 'src', 'cli.ts')
  await import(pathToFileURL(existsSync(source) ? source : join(here, '..', 'dist', 'cli.js')).href)
} else {
  const binary = process.env.MILLRACE_HANDED_OVER === '1' ? null : upwards(process.cwd()) || upwards(here)
  if (binary === null) {
    process.stderr.write(
      `millrace: needs Node.js ${NEEDED} or later, this is ${process.versions.node}: install it, or add the package node@24 to the project\n`,
    )
    process.exit(2)
  } else handOver(binary)
}
