// Records that do not go on: those that wait in operators, and dead letters, with replay and drop.
import { byId, fillTable, h, say, show } from './dom.js'
import { act, ask } from './server.js'
import { age, count, json, refusal, time } from './words.js'

let acts = false
let selected = new Set()
let seen = null
let loading = false

export function frame() {
  byId('view-records').replaceChildren(
    h('h2', {}, 'Records that wait'),
    h('div', { id: 'waiting' }),
    h('div', { id: 'parked' }),
    h('div', { class: 'bar' }, h('h2', {}, 'Dead letters'), h('span', { id: 'letter-tools', class: 'row' }, tool('replay'), tool('drop'))),
    h('p', { id: 'letters-said', role: 'status' }),
    h(
      'p',
      { id: 'no-acts', class: 'faint', hidden: true },
      'Replaying and dropping are off: this server has no token. Start it with MILLRACE_TOKEN or --token-file, or use millrace dead-letter.',
    ),
    h('div', { id: 'letters' }),
  )
}

const WORDS = { replay: ['Replay', 'replayed'], drop: ['Drop', 'dropped'] }

function tool(what) {
  return h(
    'button',
    { type: 'button', id: `${what}-selected`, disabled: true, onclick: () => void settle(what, [...selected]) },
    `${WORDS[what][0]} selected`,
  )
}

/** Of an event: what waits now; and the letters anew, when there are others than there were. */
export function fill(live) {
  acts = live.acts
  show(byId('no-acts'), !acts)
  show(byId('letter-tools'), acts)
  const waiting = live.operators.filter(
    ({ parked, blockedKeys, callsInFlight, callsWaiting }) => parked + blockedKeys + callsInFlight + callsWaiting > 0,
  )
  const view = byId('view-records')
  if (!view.hidden) {
    fillTable(
      byId('waiting'),
      'Operators in which records wait',
      ['Operator', '#Records', '#Oldest', '#Keys behind a dead letter', '#Calls under way', '#Calls to come'],
      waiting.map(({ name, parked, oldestAtMs, blockedKeys, callsInFlight, callsWaiting }) => [
        name,
        count(parked),
        oldestAtMs === null ? '' : age(live.atMs - oldestAtMs),
        count(blockedKeys),
        count(callsInFlight),
        count(callsWaiting),
      ]),
      'No record waits',
    )
    if (seen !== live.figures.deadLetters) void load()
    const waits = JSON.stringify([
      live.figures.parked,
      waiting.map(({ oldestAtMs, blockedKeys, callsWaiting }) => [oldestAtMs, blockedKeys, callsWaiting]),
    ])
    if (waits !== seenWaiting) void loadParked(waits)
  }
  const pending = live.figures.parked
  say(byId('pending'), count(pending))
  show(byId('pending'), pending > 0)
  lettersNow = live.figures.deadLetters
}

let lettersNow = null
let seenWaiting = null
let loadingParked = false

/** Asks for the records that wait, as far as one answer shows them. */
async function loadParked(waits) {
  if (loadingParked) return
  loadingParked = true
  seenWaiting = waits
  const place = byId('parked')
  try {
    const { records, more } = await ask('parked')
    const rows = records.map(({ operator, from, timestamp, parkedAtMs, ...record }) => [
      operator,
      originOf(from),
      time(timestamp),
      parkedAtMs === null ? '' : time(parkedAtMs),
      h('td', {}, recordOf(record)),
    ])
    fillTable(
      place,
      more ? `The first ${records.length} of them` : 'Their records',
      ['Operator', 'Read from', 'Time', 'Waits since', 'Record'],
      rows,
      'None',
    )
    show(place, records.length > 0)
  } catch (error) {
    place.replaceChildren(h('p', { class: 'bad' }, refusal(error)))
    show(place, true)
  } finally {
    loadingParked = false
  }
}

const originOf = (from) => (from === null ? '?' : `${from.topic}-${from.partition}@${from.offset}`)

function recordOf({ key, value, bare }) {
  if (bare) return h('span', { class: 'faint' }, 'not shown: stores are on a list')
  return h(
    'details',
    {},
    h('summary', {}, key === null ? 'no key' : json(key)),
    h('pre', {}, value === undefined ? 'too long to show' : json(value)),
  )
}

/** Asks for the letters that are pending. */
export async function load() {
  if (loading) return
  loading = true
  seen = lettersNow
  const place = byId('letters')
  try {
    const { letters, more } = await ask('dead-letters')
    selected = new Set(letters.map(({ offset }) => offset).filter((offset) => selected.has(offset)))
    place.replaceChildren()
    const heads = ['', 'Letter', 'Read from', 'Time', 'Error', 'Record', '']
    const caption = 'Dead letters that were neither replayed nor dropped'
    fillTable(place, caption, acts ? heads : heads.slice(1, -1), letters.map(letterRow), 'There are none')
    if (more) place.append(h('p', { class: 'faint' }, `The first ${letters.length} are shown.`))
  } catch (error) {
    place.replaceChildren(h('p', { class: 'bad' }, refusal(error)))
  } finally {
    loading = false
    offer()
  }
}

function offer() {
  for (const what of Object.keys(WORDS)) byId(`${what}-selected`).disabled = selected.size === 0
}

function letterRow({ offset, from, error, message, key, value, timestamp, blocksKey, replayOf, bare }) {
  const box = h('input', { type: 'checkbox', 'aria-label': `Select ${offset}`, checked: selected.has(offset) })
  box.addEventListener('change', () => {
    if (box.checked) selected.add(offset)
    else selected.delete(offset)
    offer()
  })
  const tags = [blocksKey && 'its key waits', replayOf && `replay of ${replayOf}`].filter(Boolean)
  const cells = [
    h('td', {}, h('code', {}, offset), ...tags.map((tag) => h('span', { class: 'tag' }, tag))),
    originOf(from),
    time(timestamp),
    h('td', {}, h('code', {}, error ?? '?'), h('div', { class: 'faint' }, message ?? '')),
    h('td', {}, recordOf({ key, value, bare })),
  ]
  if (!acts) return cells
  const button = (what) =>
    h('button', { type: 'button', 'data-act': what, 'data-letter': offset, onclick: () => void settle(what, [offset]) }, WORDS[what][0])
  return [h('td', {}, box), ...cells, h('td', { class: 'row' }, button('replay'), button('drop'))]
}

async function settle(what, offsets) {
  const [verb, done] = WORDS[what]
  const which = offsets.length === 1 ? `dead letter ${offsets[0]}` : `${offsets.length} dead letters`
  const text =
    what === 'replay'
      ? 'The record is written back to the topic that it was read from, behind what its key has had since.'
      : 'It is taken off this list without a replay. It stays in its topic.'
  if (!(await sure(`${verb} ${which}?`, text, verb))) return
  const said = byId('letters-said')
  say(said, 'asking')
  try {
    const answer = await act(what, offsets)
    const parts = [`${answer.done} ${done}`]
    for (const { offset, reason } of answer.refused) parts.push(`${offset} is not: ${reason}`)
    if (answer.absent.length > 0) parts.push(`not pending any more: ${answer.absent.join(', ')}`)
    say(said, parts.join('; '))
    for (const offset of offsets) selected.delete(offset)
  } catch (error) {
    say(said, refusal(error))
  }
  await load()
}

let question = 0

/** The event of a close comes later than the close: one of the question before is not the answer to this. */
function sure(title, text, verb) {
  const mine = ++question
  const dialog = byId('ask-sure')
  say(byId('ask-sure-title'), title)
  say(byId('ask-sure-text'), text)
  say(byId('ask-sure-yes'), verb)
  dialog.returnValue = 'no'
  dialog.showModal()
  return new Promise((resolve) => {
    const closed = () => {
      if (dialog.open && mine === question) return
      dialog.removeEventListener('close', closed)
      resolve(mine === question && dialog.returnValue === 'yes')
    }
    dialog.addEventListener('close', closed)
  })
}
