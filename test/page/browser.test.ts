// The live page as a person uses it, in a headless Chromium: asks for the token, shows rates and lag in the picture, browses a store, replays
// and drops a dead letter, is dark or light, fits on 360 px. With MILLRACE_SHOTS=<folder> it leaves pictures there.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connectControl, type ControlClient } from '../../src/control/client.ts'
import { type Line, type Serving, serve } from '../server/serving.ts'
import { type Browser, CHROMIUM, openBrowser, type Page } from './chromium.ts'

const TOKEN = 'a-token-of-more-than-thirty-two-bytes'
const shots = process.env.MILLRACE_SHOTS
const lines: Line[] = Array.from({ length: 120 }, (_, i) => ({
  topic: 'items',
  key: `item-${String(i).padStart(3, '0')}`,
  value: { version: 1, name: `Item ${i} <b>not bold</b>` },
}))
lines.push({ topic: 'items', key: 'broken', value: { name: 'no version' } }, { topic: 'numbers', key: 7, value: 'x' })

let serving: Serving
let browser: Browser
let page: Page
let control: ControlClient
let site: string

describe.skipIf(CHROMIUM === null)('in Chromium', { timeout: 60_000 }, () => {
  beforeAll(async () => {
    serving = await serve(lines, { token: TOKEN })
    control = (await connectControl(serving.app.config.stateDir)) as ControlClient
    site = `http://127.0.0.1:${serving.port}/`
    browser = await openBrowser()
    page = browser.page
    await page.size(1440, 900)
    await page.scheme('light')
    await page.go(site)
  }, 60_000)
  afterAll(async () => {
    control?.close()
    await browser?.close()
    await serving?.close()
  }, 30_000)

  const text = (selector: string): string => `document.querySelector(${JSON.stringify(selector)})?.textContent ?? ''`
  const says = (selector: string, wanted: RegExp): Promise<string> => page.until(text(selector), (now: string) => wanted.test(now))
  const hasRow = (place: string, wanted: RegExp): Promise<string> => says(`${place} tbody`, wanted)
  async function shoot(name: string): Promise<void> {
    if (shots === undefined) return
    mkdirSync(shots, { recursive: true })
    writeFileSync(join(shots, `${name}.png`), await page.shot())
  }
  /** Nothing but tables and the picture, which have bars of their own, may be wider than the screen. */
  const fits = async (width: number): Promise<void> => {
    expect(await page.value<number>('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width)
  }

  test('asks for the token; a wrong one is told', async () => {
    const open = `document.querySelector('#ask-token').open`
    await page.until(open, (now) => now === true)
    expect(await page.value(text('#tile-0'))).toBe('–')
    await shoot('token')
    await page.click('#token-field')
    await page.type('another-token-of-thirty-two-bytes-too')
    await page.press('Enter')
    await says('#token-wrong', /does not take/)
    await page.click('#token-field')
    await page.type(TOKEN)
    await page.press('Enter')
    await says('#state', /^ready$/)
    expect(await page.value(open)).toBe(false)
  })

  test('the picture has live rates and lag in its boxes', async () => {
    await page.until('document.querySelectorAll(".picture g[data-kind]").length', (n: number) => n >= 6)
    expect(await page.value(text('#title'))).toBe('shop')
    const box = '.picture g[data-kind="in"][data-name="items"] .figures'
    await says(box, /^0\/s {2}lag 0$/)
    // The greatest that was seen: an event later all may be over.
    const most = { box: 0, tile: 0 }
    for (let produced = 0; most.box === 0 || most.tile === 0; ) {
      const batch = Array.from({ length: 20 }, () => ({ topic: 'items', key: `live-${produced++ % 50}`, value: { version: produced } }))
      await control.produce(batch.map((line, i) => ({ number: i + 1, bytes: Buffer.from(JSON.stringify(line)) })))
      const [of, all] = await page.value<[number, number]>(`[parseFloat(${text(box)}) || 0, parseFloat(${text('#tile-0')}) || 0]`)
      most.box = Math.max(most.box, of)
      most.tile = Math.max(most.tile, all)
      await sleep(50)
    }
    await says('.picture g[data-kind="out"][data-name="shown"] .figures', /\/s$/)
    await hasRow('#topics', /itemsread/)
    await shoot('topology-1440')
    await page.click('#fit')
    await fits(1440)
    await page.click('#fit')
  })

  test('a store: from the picture to its rows, by range, key and prefix', async () => {
    await page.click('.picture g[role="link"]')
    await says('#rows-said', /^50 rows, and there are more$/)
    expect(await page.value('location.hash')).toBe('#stores')
    await hasRow('#rows', /item-000.*Item 0 <b>not bold<\/b>/s)
    await shoot('stores-1440')
    await page.click('#next')
    await hasRow('#rows', /item-050/)
    const way = (n: number): Promise<unknown> =>
      page.value(`(() => { const way = document.querySelector('#way'); way.value = '${n}'; way.dispatchEvent(new Event('change')) })()`)
    await way(0)
    await page.press('/')
    await page.until('document.activeElement?.name ?? ""', (name) => name !== '')
    await way(0)
    await page.click('input[name="key"]')
    await page.type('item-007')
    await page.press('Enter')
    await says('#rows-said', /^1 row$/)
    await hasRow('#rows', /item-007/)
    await page.click('input[name="key"]')
    await page.type('-no')
    await page.press('Enter')
    await says('#rows-said', /no such row/)
    await way(2)
    await page.click('input[name="prefix"]')
    await page.type('item-11')
    await page.press('Enter')
    await says('#rows-said', /^10 rows$/)
  })

  test('a dead letter is replayed, and what it becomes is dropped', async () => {
    await page.press('Escape') // out of the field
    await page.press('3')
    await hasRow('#letters', /items-\d@\d+.*STREAM_SERDE.*version is undefined.*broken/s)
    await shoot('records-1440')
    await page.click('[data-act="replay"]')
    await says('#ask-sure-title', /^Replay dead letter \d:\d+\?$/)
    await page.click('#ask-sure-yes')
    await says('#letters-said', /^1 replayed$/)
    // It has no version still.
    await hasRow('#letters', /replay of \d:\d+/)
    await page.click('#letters input[type="checkbox"]')
    await page.click('#drop-selected')
    await page.until(`document.querySelector('#ask-sure').open`, (open) => open === true)
    await page.press('Escape')
    await page.until(`document.querySelector('#ask-sure').open`, (open) => open === false)
    expect(await page.value(text('#letters-said'))).toBe('1 replayed')
    await page.click('#drop-selected')
    await page.click('#ask-sure-yes')
    await says('#letters-said', /^1 dropped$/)
    await hasRow('#letters', /There are none/)
    const rest: string[] = []
    for await (const some of control.deadLetters({ act: 'list' }, new AbortController().signal)) rest.push(...some)
    expect(rest).toEqual([])
  })

  test('epochs and tasks; the keys are told', async () => {
    await page.press('4')
    await says('[data-fact="Epochs"]', /^[1-9]/)
    await hasRow('#tasks', /0_0/)
    await page.until(
      'document.querySelector("#chart-records polyline").getAttribute("points")?.split(" ").length ?? 0',
      (n: number) => n > 3,
    )
    await shoot('process-1440')
    await page.press('?')
    await page.until(`document.querySelector('#help').open`, (open) => open === true)
    await page.press('Escape')
    await page.press('1')
    await page.until('document.querySelector("#view-topology").hidden', (hidden) => hidden === false)
  })

  test('light, dark, and as the system has it; what has the focus is seen', async () => {
    const ground = 'getComputedStyle(document.body).backgroundColor'
    const light = await page.value<string>(ground)
    await page.scheme('dark')
    const dark = await page.value<string>(ground)
    expect(dark).not.toBe(light)
    await shoot('topology-dark-1440')
    await page.click('#theme')
    await says('#theme', /light$/)
    expect(await page.value(ground)).toBe(light)
    await page.scheme('light')
    await page.press('t')
    await says('#theme', /dark$/)
    expect(await page.value(ground)).toBe(dark)
    await page.press('t')
    expect(await page.value(ground)).toBe(light)
    await page.press('Tab')
    expect(await page.value('getComputedStyle(document.activeElement).outlineStyle')).toBe('solid')
  })

  test('360 px: every view fits; the same in the dark', async () => {
    await page.size(360, 780)
    for (const [key, view] of ['topology', 'stores', 'records', 'process'].map((name, i) => [String(i + 1), name] as const)) {
      await page.press(key)
      await page.until(`document.querySelector('#view-${view}').hidden`, (hidden) => hidden === false)
      if (view === 'stores') {
        await page.click('[data-store="items"]')
        await says('#rows-said', /rows/)
      }
      await fits(360)
      await shoot(`${view}-360`)
    }
    await page.scheme('dark')
    await shoot('process-dark-360')
  })

  test('a server that is gone is told', async () => {
    await serving.app.close()
    await says('#state', /^The server does not answer\.$/)
  })

  test('it asked nobody else, and nothing went wrong; the token is in no address', () => {
    expect(page.requests.filter((url) => !url.startsWith(site) && !url.startsWith('data:'))).toEqual([])
    expect(page.requests.filter((url) => url.includes(TOKEN))).toEqual([])
    expect(page.troubles).toEqual([])
  })
})
