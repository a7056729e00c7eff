// Stores: which there are, and their rows by key, range, prefix, window and version.
import { byId, fillTable, h, say, show } from './dom.js'
import { ask } from './server.js'
import { bytes, json, msOf, refusal, time } from './words.js'

/** Ways to ask, by what the rows of a store are of; a field that ends in Ms is a time. */
const WAYS = {
  keys: [
    ['One key', ['key']],
    ['A range of keys', ['from', 'to', 'limit']],
    ['Keys that begin with', ['prefix', 'limit']],
  ],
  windows: [
    ['Windows of all keys', ['keyFrom', 'keyTo', 'fromMs', 'toMs', 'limit']],
    ['Windows of one key', ['key', 'fromMs', 'toMs', 'limit']],
  ],
}
WAYS.versions = [...WAYS.keys, ['One key as of a time', ['key', 'asOfMs']], ['Versions of one key', ['key', 'fromMs', 'toMs', 'limit']]]

const LABELS = {
  key: 'Key',
  from: 'From key',
  to: 'To key',
  keyFrom: 'From key',
  keyTo: 'To key',
  prefix: 'Prefix',
  fromMs: 'From time',
  toMs: 'To time',
  asOfMs: 'Time',
  limit: 'Rows at most',
}

let stores = []
let shown = null
let chosen = null
let sizes = new Map()

export function sizesOf(live) {
  sizes = new Map(live.stores.map(({ name, bytes: n }) => [name, n]))
  for (const cell of document.querySelectorAll('[data-size]')) say(cell, sizeOf(cell.dataset.size))
}

const sizeOf = (name) => (sizes.has(name) ? bytes(sizes.get(name)) : '')

let loading = null

/** Asks which stores there are. */
export function load() {
  loading ??= loadNow().finally(() => {
    loading = null
  })
  return loading
}

async function loadNow() {
  const view = byId('view-stores')
  try {
    stores = (await ask('stores')).stores
  } catch (error) {
    view.replaceChildren(h('h2', {}, 'Stores'), h('p', { class: 'bad' }, refusal(error)))
    return
  }
  if (!stores.some(({ name }) => name === chosen)) chosen = stores[0]?.name ?? null
  const rows = stores.map(({ name, key, value, tasks, here, rows: kind }) => [
    h('td', {}, h('button', { type: 'button', class: 'link', 'data-store': name, onclick: () => choose(name) }, name)),
    kind,
    `${key} → ${value}`,
    `${here} of ${tasks}`,
    h('td', { class: 'number', 'data-size': name }, sizeOf(name)),
  ])
  const known = JSON.stringify(stores.map(({ name, rows: kind }) => [name, kind]))
  // What was typed stays, where the stores are those that were there.
  const same = byId('ask-rows') !== null && known === shown
  shown = known
  if (!same)
    view.replaceChildren(
      h('h2', {}, 'Stores'),
      h('div', { id: 'store-list' }),
      h('form', { id: 'ask-rows', class: 'ask', hidden: true }),
      h('p', { id: 'rows-said', role: 'status' }),
      h('div', { id: 'rows' }),
    )
  const heads = ['Store', 'Rows by', 'Serdes', '#Tasks here', '#Size']
  fillTable(byId('store-list'), 'Stores that can be read', heads, rows, 'This topology has no store that can be read')
  if (same) mark()
  else if (chosen !== null) choose(chosen, false)
}

function mark() {
  for (const button of document.querySelectorAll('[data-store]'))
    button.setAttribute('aria-pressed', String(button.dataset.store === chosen))
}

/** With the first of its rows. */
export async function open(name) {
  chosen = name
  await load()
  if (stores.some((store) => store.name === name)) choose(name)
}

/** Asks the same again. */
export function again() {
  const form = byId('ask-rows')
  if (form === null || form.hidden) void load()
  else form.requestSubmit()
}

export function focusKey() {
  byId('ask-rows')?.querySelector('input')?.focus()
}

function choose(name, ask = true) {
  chosen = name
  mark()
  const { rows: kind } = stores.find((store) => store.name === name)
  const form = byId('ask-rows')
  const way = h('select', { id: 'way', name: 'way' }, ...WAYS[kind].map(([text], i) => h('option', { value: i }, text)))
  const fields = h('div', { class: 'fields' })
  const offer = () => fields.replaceChildren(...WAYS[kind][Number(way.value)][1].map(field))
  way.addEventListener('change', offer)
  // All rows are what one looks at first.
  way.value = kind === 'windows' ? '0' : '1'
  offer()
  form.replaceChildren(
    h('h3', {}, `Rows of ${name}`),
    h('div', { class: 'fields' }, h('label', {}, 'What', way)),
    fields,
    h('button', { type: 'submit', class: 'main' }, 'Show'),
  )
  form.onsubmit = (event) => {
    event.preventDefault()
    void query(name, kind, WAYS[kind][Number(way.value)][1], new FormData(form))
  }
  show(form, true)
  say(byId('rows-said'), '')
  byId('rows').replaceChildren()
  if (ask) form.requestSubmit()
}

function field(name) {
  const input = h('input', {
    name,
    autocomplete: 'off',
    spellcheck: 'false',
    inputmode: name === 'limit' ? 'numeric' : null,
    placeholder: name.endsWith('Ms') ? 'epoch ms or a date' : name === 'limit' ? null : name === 'key' ? 'text, or JSON' : 'open',
    required: name === 'key' || name === 'asOfMs',
    value: name === 'limit' ? '50' : null,
  })
  return h('label', {}, LABELS[name], input)
}

/** The path and the query of what the form says. Throws what is wrong with it. */
function pathOf(store, kind, fields, form) {
  const query = new URLSearchParams()
  const key = fields.includes('key') ? `/${encodeURIComponent(form.get('key'))}` : ''
  for (const name of fields) {
    const text = String(form.get(name) ?? '').trim()
    if (name === 'key' || text === '') continue
    if (!name.endsWith('Ms')) query.set(name, text)
    else {
      const ms = msOf(text)
      if (ms === null) throw new Error(`${LABELS[name]} is neither epoch ms nor a date: ${text}`)
      query.set(name.slice(0, -2), String(ms))
    }
  }
  const room = kind === 'windows' ? 'windows' : key !== '' && fields.includes('fromMs') ? 'versions' : 'stores'
  return { path: `${room}/${encodeURIComponent(store)}${key}`, query, room }
}

let asked = 0

async function query(store, kind, fields, form) {
  const mine = ++asked
  const said = byId('rows-said')
  const place = byId('rows')
  try {
    const { path, query: parts, room } = pathOf(store, kind, fields, form)
    say(said, 'asking')
    const answer = await ask(`${path}?${parts}`)
    if (mine !== asked) return
    const rows = answer.entries ?? [answer]
    say(said, `${rows.length} ${rows.length === 1 ? 'row' : 'rows'}${answer.next === undefined ? '' : ', and there are more'}`)
    showRows(place, store, rows, room)
    if (answer.next === undefined) return
    const cursor = room === 'windows' ? 'cursor' : room === 'versions' ? 'to' : 'from'
    place.append(
      h(
        'button',
        { type: 'button', id: 'next', onclick: () => more(path, parts, cursor, answer.next, store, place, said) },
        'The following rows',
      ),
    )
  } catch (error) {
    if (mine !== asked) return
    say(said, error.code === undefined ? error.message : refusal(error))
    place.replaceChildren()
  }
}

async function more(path, parts, cursor, next, store, place, said) {
  parts.set(cursor, next)
  try {
    const answer = await ask(`${path}?${parts}`)
    showRows(place, store, answer.entries, cursor === 'cursor' ? 'windows' : '')
    say(said, `${answer.entries.length} rows${answer.next === undefined ? '' : ', and there are more'}`)
    if (answer.next !== undefined)
      place.append(
        h(
          'button',
          { type: 'button', id: 'next', onclick: () => more(path, parts, cursor, answer.next, store, place, said) },
          'The following rows',
        ),
      )
    place.querySelector('button')?.focus()
  } catch (error) {
    say(said, refusal(error))
  }
}

function showRows(place, store, rows, room) {
  place.replaceChildren()
  const timed = rows.some(({ timestamp }) => timestamp !== undefined)
  const keyed = rows.some(({ key }) => key !== undefined)
  const heads = [...(keyed ? ['Key'] : []), 'Value', ...(timed ? ['Time'] : [])]
  fillTable(
    place,
    `Rows of ${store}`,
    heads,
    rows.map(({ key, value, timestamp }) => [
      ...(keyed ? [keyCell(key, room)] : []),
      h('td', {}, h('pre', {}, json(value))),
      ...(timed ? [time(timestamp)] : []),
    ]),
    'No rows',
  )
}

/** A key in a window: with its times as people read them. */
function keyCell(key, room) {
  const [, of, start, end] = (room === 'windows' && typeof key === 'string' && /^(.*)@(\d+)-(\d+)$/s.exec(key)) || []
  if (of === undefined) return h('td', {}, h('pre', {}, json(key)))
  return h('td', {}, h('pre', {}, of), h('div', { class: 'faint' }, `${time(Number(start))} to ${time(Number(end))}`))
}
