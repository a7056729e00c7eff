// The process: how far a restore is, epochs over the last minute, tasks.
import { byId, fillTable, h, say, show } from './dom.js'
import { history } from './rates.js'
import { age, bytes, count, perSecond } from './words.js'

const CHARTS = [
  ['records', 'Records/s', ({ recordsPerSecond }) => recordsPerSecond, perSecond],
  ['epochs', 'Epochs/s', ({ epochsPerSecond }) => epochsPerSecond, perSecond],
  ['commits', 'Commit, ms', ({ commitMs }) => commitMs ?? 0, (n) => n.toFixed(1)],
  ['lag', 'Lag', ({ lag }) => lag, count],
]

export function frame() {
  byId('view-process').replaceChildren(
    h('h2', {}, 'Process'),
    h('dl', { id: 'facts', class: 'facts' }),
    h('div', { id: 'restores' }),
    h('h2', {}, 'The last minute'),
    h('div', { class: 'charts' }, ...CHARTS.map(([name, title]) => chart(name, title))),
    h('div', { id: 'tasks' }),
    h('p', { id: 'more-tasks', class: 'faint' }),
    h('div', { id: 'others' }),
    h(
      'p',
      { id: 'others-said', class: 'faint' },
      'This page is of one process. Each of the others has its own, with its own figures, at its address.',
    ),
  )
}

export function fill(live) {
  if (byId('view-process').hidden) return
  const { figures, epochSums, epochs } = live
  facts({
    Application: live.applicationId,
    'Up for': age(live.atMs - live.startedAtMs),
    Epochs: count(epochs),
    'Records an epoch': figures.recordsPerEpoch === null ? '0 now' : count(figures.recordsPerEpoch),
    'Commit, on average': epochs === 0 ? 'none yet' : `${((epochSums.commitSeconds / epochs) * 1000).toFixed(1)} ms`,
    'Written to stores': bytes(epochSums.bytes),
    Rewinds: `${count(live.rewinds)}, of these fenced ${count(live.fenced)}`,
    Rebalances: count(live.rebalances),
    Restored: `${count(live.restored)} records`,
    Standbys: live.standbys.tasks === 0 ? 'none' : `${live.standbys.tasks} tasks, ${count(live.standbys.lag)} offsets behind`,
  })
  show(byId('restores'), !live.ready)
  restores(live.restores)
  for (const [name, , of, text] of CHARTS) draw(name, history.map(of), text)
  fillTable(
    byId('tasks'),
    'Tasks of this process',
    ['Task', '#Records/s', '#Out/s', '#Lag', '#Dead letters'],
    live.tasks.map(({ id, perSecond: n, outPerSecond, lag, deadLetters }) => [
      id,
      perSecond(n),
      perSecond(outPerSecond),
      count(lag),
      count(deadLetters),
    ]),
    'No task yet',
  )
  show(byId('others'), live.others.length > 0)
  show(byId('others-said'), live.others.length > 0)
  fillTable(
    byId('others'),
    'Other processes of this application',
    ['Address', '#Tasks'],
    live.others.map(({ address, tasks }) => [h('a', { href: `//${address}/`, rel: 'noreferrer' }, address), count(tasks)]),
    'None that answers',
  )
  say(byId('more-tasks'), live.moreTasks > 0 ? `${count(live.moreTasks)} tasks more` : '')
}

function facts(of) {
  const place = byId('facts')
  for (const [name, text] of Object.entries(of)) {
    let value = place.querySelector(`[data-fact="${name}"]`)
    if (value === null) {
      value = h('dd', { 'data-fact': name })
      place.append(h('div', {}, h('dt', {}, name), value))
    }
    say(value, text)
  }
}

function restores(rows) {
  fillTable(
    byId('restores'),
    'Being restored',
    ['Task', 'Store', '#Records', '#Offsets to go', 'So far'],
    rows.map(({ task, store, restored, remaining }) => [
      task,
      store,
      count(restored),
      count(remaining),
      h('td', {}, h('progress', { max: restored + remaining, value: restored, 'aria-label': `${store} of task ${task}` })),
    ]),
    'Nothing is restored; the process is not ready yet',
  )
}

const WIDTH = 240
const HEIGHT = 56
const SVG = 'http://www.w3.org/2000/svg'

function chart(name, title) {
  const svg = document.createElementNS(SVG, 'svg')
  svg.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`)
  svg.setAttribute('preserveAspectRatio', 'none')
  svg.setAttribute('aria-hidden', 'true')
  svg.append(document.createElementNS(SVG, 'polyline'))
  return h('figure', { id: `chart-${name}` }, h('figcaption', {}, title, h('strong', {})), svg)
}

/** The newest stands at the right; the least is 0. */
function draw(name, values, text) {
  const figure = byId(`chart-${name}`)
  const top = Math.max(1, ...values)
  const x = (i) => WIDTH - (values.length - 1 - i) * (WIDTH / 59)
  const points = values.map((value, i) => `${x(i).toFixed(1)},${(HEIGHT - 2 - (value / top) * (HEIGHT - 6)).toFixed(1)}`)
  figure.querySelector('polyline').setAttribute('points', points.join(' '))
  say(figure.querySelector('strong'), `${text(values.at(-1) ?? 0)} (most ${text(Math.max(0, ...values))})`)
}
