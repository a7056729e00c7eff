// A headless Chromium of the machine's packages, driven over a pair of pipes by the DevTools protocol: no port, no dependency.
//
// 1. What is pressed is pressed as a person does: by the mouse at the middle of what is seen, by keys.
// 2. The browser has a profile of its own, and is ended by its process id; the profile goes with it.
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'

const BINARIES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const PATIENCE_MS = 30_000
const LOOK_MS = 50

/** Null: there is none. */
export const CHROMIUM = BINARIES.find((path) => existsSync(path)) ?? null
if (CHROMIUM === null)
  console.warn(`SKIPPED: the live page in a browser. There is none of ${BINARIES.join(', ')}: apt-get install chromium`)

export interface Page {
  /** What was asked for, by address. */
  readonly requests: readonly string[]
  /** Exceptions, and what the page says to the console as an error. */
  readonly troubles: readonly string[]
  go(url: string): Promise<void>
  /** The value of an expression. */
  value<T>(expression: string): Promise<T>
  /** Until the expression is what `is` says; its last value is in the error. */
  until<T>(expression: string, is: (value: T) => boolean, what?: string): Promise<T>
  click(selector: string): Promise<void>
  type(text: string): Promise<void>
  press(key: string): Promise<void>
  size(width: number, height: number): Promise<void>
  scheme(scheme: 'light' | 'dark'): Promise<void>
  /** A PNG of what is seen. */
  shot(): Promise<Buffer>
}

export interface Browser {
  readonly page: Page
  close(): Promise<void>
}

type Fields = Record<string, unknown>
interface Message {
  readonly id?: number
  readonly method?: string
  readonly params?: any
  readonly result?: any
  readonly error?: { readonly message: string }
}

export async function openBrowser(): Promise<Browser> {
  if (CHROMIUM === null) throw new Error('there is no Chromium')
  const profile = mkdtempSync(join(tmpdir(), 'millrace-chromium-'))
  const flags = [
    '--headless=new',
    '--remote-debugging-pipe',
    `--user-data-dir=${profile}`,
    '--no-sandbox', // it refuses root otherwise; what it opens is ours
    '--disable-gpu',
    '--disable-dev-shm-usage',
    '--disable-extensions',
    '--disable-background-networking',
    '--no-first-run',
    '--force-prefers-reduced-motion',
  ]
  const child: ChildProcess = spawn(CHROMIUM, [...flags, 'about:blank'], { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] })
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const close = async (): Promise<void> => {
    child.kill('SIGKILL')
    await ended
    rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
  }
  try {
    const { send, on } = talk(child, ended)
    const { targetId } = await send('Target.createTarget', { url: 'about:blank' })
    const { sessionId } = await send('Target.attachToTarget', { targetId, flatten: true })
    const ask = (method: string, params: Fields = {}): Promise<any> => send(method, params, sessionId)
    for (const domain of ['Page', 'Runtime', 'Network', 'Log']) await ask(`${domain}.enable`)
    return { page: pageOf(ask, on), close }
  } catch (error) {
    await close()
    throw error
  }
}

interface Talk {
  send(method: string, params?: Fields, sessionId?: string): Promise<any>
  on(method: string, heard: (params: any) => void): void
}

function talk(child: ChildProcess, ended: Promise<void>): Talk {
  const [input, output] = [child.stdio[3] as Writable, child.stdio[4] as Readable]
  const waiting = new Map<number, { resolve(result: any): void; reject(error: Error): void }>()
  const heard = new Map<string, ((params: any) => void)[]>()
  let last = 0
  let rest = ''
  output.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split('\0')
    rest = parts.pop() as string
    for (const part of parts) {
      const { id, method, params, result, error } = JSON.parse(part) as Message
      if (id === undefined) for (const run of heard.get(method ?? '') ?? []) run(params)
      else if (error === undefined) waiting.get(id)?.resolve(result)
      else waiting.get(id)?.reject(new Error(error.message))
      if (id !== undefined) waiting.delete(id)
    }
  })
  input.on('error', () => {}) // it has ended
  void ended.then(() => {
    for (const { reject } of waiting.values()) reject(new Error('the browser has ended'))
  })
  return {
    send: (method, params = {}, sessionId) =>
      new Promise((resolve, reject) => {
        const id = ++last
        waiting.set(id, { resolve, reject })
        input.write(`${JSON.stringify({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) })}\0`)
      }),
    on: (method, run) => void heard.set(method, [...(heard.get(method) ?? []), run]),
  }
}

function pageOf(ask: (method: string, params?: Fields) => Promise<any>, on: Talk['on']): Page {
  const requests: string[] = []
  const troubles: string[] = []
  on('Network.requestWillBeSent', ({ request }) => requests.push(request.url))
  on('Runtime.exceptionThrown', ({ exceptionDetails: { text, exception } }) => troubles.push(exception?.description ?? text))
  on('Log.entryAdded', ({ entry: { level, source, text } }) => {
    // A refused request is no trouble of the page.
    if (level === 'error' && source !== 'network') troubles.push(text)
  })
  const value = async (expression: string): Promise<any> => {
    const { result, exceptionDetails } = await ask('Runtime.evaluate', { expression, returnByValue: true, awaitPromise: true })
    if (exceptionDetails !== undefined)
      throw new Error(`${expression}: ${exceptionDetails.exception?.description ?? exceptionDetails.text}`)
    return result.value
  }
  const until = async (expression: string, is: (value: any) => boolean, what = expression): Promise<any> => {
    const giveUp = Date.now() + PATIENCE_MS
    for (;;) {
      const now = await value(expression)
      if (is(now)) return now
      if (Date.now() > giveUp) throw new Error(`${what}: it is ${JSON.stringify(now)}. ${troubles.join('; ')}`)
      await sleep(LOOK_MS)
    }
  }
  const key = (type: string, name: string): Promise<any> =>
    ask('Input.dispatchKeyEvent', {
      type,
      key: name,
      ...(name.length === 1 && type === 'keyDown' ? { text: name } : {}),
      ...(name === 'Enter' ? { windowsVirtualKeyCode: 13, ...(type === 'keyDown' ? { text: '\r' } : {}) } : {}),
      ...(name === 'Escape' ? { windowsVirtualKeyCode: 27 } : {}),
      ...(name === 'Tab' ? { windowsVirtualKeyCode: 9 } : {}),
    })
  return {
    requests,
    troubles,
    async go(url) {
      await ask('Page.navigate', { url })
      await until('document.readyState', (state) => state === 'complete')
    },
    value,
    until,
    async click(selector) {
      const found = `document.querySelector(${JSON.stringify(selector)})`
      await until(
        `${found} !== null && ${found}.checkVisibility() && !${found}.disabled`,
        (there) => there === true,
        `to click ${selector}`,
      )
      const [x, y] = await value(
        `(() => { const e = ${found}; e.scrollIntoView({ block: 'center', inline: 'center' }); const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] })()`,
      )
      for (const type of ['mousePressed', 'mouseReleased'])
        await ask('Input.dispatchMouseEvent', { type, x, y, button: 'left', clickCount: 1 })
    },
    type: (text) => ask('Input.insertText', { text }),
    async press(name) {
      await key('keyDown', name)
      await key('keyUp', name)
    },
    size: (width, height) => ask('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: false }),
    scheme: (scheme) => ask('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] }),
    shot: async () => Buffer.from((await ask('Page.captureScreenshot', { format: 'png' })).data, 'base64'),
  }
}
