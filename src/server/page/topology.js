// The topology as a picture, with live figures in its boxes, and the same as a table.
import { byId, fillTable, h, say } from './dom.js'
import { ask, askText } from './server.js'
import { bytes, count, perSecond, refusal } from './words.js'

let shape = null
let drawing = false
/** Boxes of the picture by `kind name`. */
let boxes = []
let graph = null

const EVENTS = ['late', 'dropped', 'stale', 'duplicate']

/** Draws it where it is not drawn yet, or is another one by now. */
export async function draw(wanted, openStore) {
  if (drawing || shape === wanted) return
  drawing = true
  const view = byId('view-topology')
  try {
    const [svg, data] = await Promise.all([askText('topology?format=svg&live=true'), ask('topology')])
    const picture = document.importNode(new DOMParser().parseFromString(svg, 'image/svg+xml').documentElement, true)
    graph = data
    const stores = new Map(data.subTopologies.flatMap(({ nodes }) => nodes.map(({ name, stores }) => [name, stores[0]?.name])))
    boxes = [...picture.querySelectorAll('g[data-kind]')].flatMap((box) => {
      const { kind, name } = box.dataset
      const figures = box.querySelector('.figures')
      return figures === null ? [] : [{ kind, name, figures, box, store: kind === 'node' ? stores.get(name) : undefined }]
    })
    for (const { name, box, store } of boxes) {
      if (store === undefined) continue
      box.setAttribute('tabindex', '0')
      box.setAttribute('role', 'link')
      box.setAttribute('aria-label', `${name}, store ${store}: show its rows`)
      box.addEventListener('click', () => openStore(store))
      box.addEventListener('keydown', (event) => {
        if (event.key === 'Enter') openStore(store)
      })
    }
    const fit = h('button', { type: 'button', 'aria-pressed': 'false', id: 'fit' }, 'Fit to width')
    const frame = h('div', { class: 'picture', tabindex: '0', role: 'region', 'aria-label': 'Picture of the topology' }, picture)
    fit.addEventListener('click', () => {
      const fitted = frame.classList.toggle('fit')
      fit.setAttribute('aria-pressed', String(fitted))
    })
    view.replaceChildren(
      h('div', { class: 'bar' }, h('h2', {}, `Topology ${data.topology}`), fit),
      h(
        'p',
        { class: 'legend' },
        h('span', { class: 'topic' }, 'topic'),
        h('span', { class: 'internal' }, 'internal topic'),
        h('span', { class: 'stateful' }, 'with a store'),
      ),
      frame,
      h('div', { id: 'topics' }),
      h('div', { id: 'operators' }),
    )
    shape = wanted
  } catch (error) {
    view.replaceChildren(h('p', { class: 'bad' }, refusal(error)))
  } finally {
    drawing = false
  }
}

/** Puts the figures of an event into the boxes. */
export function fill(live) {
  if (graph === null) return
  const inputs = new Map(live.inputs.map((row) => [row.topic, row]))
  const outputs = new Map(live.outputs.map((row) => [row.topic, row]))
  const operators = new Map(live.operators.map((row) => [row.name, row]))
  const sizes = new Map(live.stores.map((row) => [row.name, row.bytes]))
  const named = new Set(boxes.filter(({ kind }) => kind === 'out').map(({ name }) => name))
  for (const { kind, name, figures, box, store } of boxes) {
    const text =
      kind === 'in'
        ? inputText(rowsOf(name, inputs))
        : kind === 'out'
          ? outputText(name, outputs, named, live)
          : nodeText(operators.get(name), sizes.get(store))
    say(figures, text)
    box.classList.toggle('busy', kind !== 'node' && !/^0\/s|^$/.test(text))
    box.classList.toggle('waits', kind === 'node' && /waiting/.test(text))
  }
  if (byId('view-topology').hidden) return
  fillTable(
    byId('topics'),
    'Topics',
    ['Topic', '', '#Records/s', '#Lag'],
    [
      ...live.inputs.map(({ topic, perSecond: n, lag }) => [topic, 'read', perSecond(n), count(lag)]),
      ...live.outputs.map(({ topic, perSecond: n }) => [topic, 'written', perSecond(n), '']),
    ],
    'No topic is read yet',
  )
  fillTable(
    byId('operators'),
    'Operators that have counted something',
    ['Operator', 'Since its task was opened'],
    live.operators.filter((row) => eventsText(row) !== '').map((row) => [row.name, eventsText(row)]),
    'None yet',
  )
}

/** A source of a regular expression reads every topic that it matches as a whole. */
function rowsOf(name, inputs) {
  const pattern = /^\/(.*)\/([a-z]*)$/.exec(name)
  if (pattern === null) return inputs.has(name) ? [inputs.get(name)] : []
  const whole = new RegExp(`^(?:${pattern[1]})$`, pattern[2])
  return [...inputs.values()].filter(({ topic }) => whole.test(topic))
}

function inputText(rows) {
  if (rows.length === 0) return ''
  const n = rows.reduce((sum, row) => sum + row.perSecond, 0)
  const lag = rows.reduce((sum, row) => sum + row.lag, 0)
  return `${perSecond(n)}/s  lag ${count(lag)}`
}

function outputText(name, outputs, named, { applicationId }) {
  const row = outputs.get(name)
  if (row !== undefined) return `${perSecond(row.perSecond)}/s`
  if (!name.startsWith('(')) return '0/s'
  const chosen = [...outputs.values()].filter(({ topic }) => !named.has(topic) && topic !== `${applicationId}-dead-letter`)
  return `${perSecond(chosen.reduce((sum, one) => sum + one.perSecond, 0))}/s`
}

function nodeText(row, size) {
  return (row === undefined ? '' : waitText(row)) || (size === undefined ? '' : bytes(size))
}

function waitText(row) {
  if (row.parked > 0) return `${count(row.parked)} waiting`
  if (row.callsInFlight > 0) return `${count(row.callsInFlight)} calls`
  const events = new Map(row.events)
  const event = EVENTS.find((name) => events.get(name) > 0)
  return event === undefined ? '' : `${event} ${count(events.get(event))}`
}

function eventsText({ events }) {
  return events
    .filter(([, n]) => n > 0)
    .map(([name, n]) => `${name.replaceAll('_', ' ')} ${count(n)}`)
    .join(', ')
}
