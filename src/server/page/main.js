// The live page: puts its views together, keeps them current, and hears the keyboard.
//
// 1. Everything is asked of the server that the page came from; nothing else is loaded.
// 2. The view is in the address (#stores), so that it can be linked and gone back to; what is asked for is not.
import { byId, h, say, show } from './dom.js'
import * as processView from './process.js'
import { rated } from './rates.js'
import * as records from './records.js'
import { askToken, forgetToken, hasToken, listen } from './server.js'
import * as stores from './stores.js'
import * as topology from './topology.js'
import { count, perSecond, refusal } from './words.js'

const VIEWS = ['topology', 'stores', 'records', 'process']
const TILES = [
  ['Records in/s', ({ figures }) => perSecond(figures.recordsPerSecond)],
  ['Out/s', ({ figures }) => perSecond(figures.outPerSecond)],
  ['Lag', ({ figures }) => count(figures.lag)],
  ['Epochs/s', ({ figures }) => perSecond(figures.epochsPerSecond)],
  ['Commit', ({ figures }) => (figures.commitMs === null ? '–' : `${figures.commitMs.toFixed(1)} ms`)],
  ['Waiting', ({ figures }) => count(figures.parked)],
  ['Dead letters', ({ figures }) => count(figures.deadLetters)],
]
let last = null

const viewNow = () => (VIEWS.includes(location.hash.slice(1)) ? location.hash.slice(1) : 'topology')

function openStore(name) {
  location.hash = 'stores'
  void stores.open(name)
}

/** Shows the view that the address names. */
function turn() {
  const now = viewNow()
  for (const view of VIEWS) show(byId(`view-${view}`), view === now)
  for (const link of document.querySelectorAll('nav a')) {
    if (link.hash === `#${now}`) link.setAttribute('aria-current', 'page')
    else link.removeAttribute('aria-current')
  }
  if (now === 'stores') void stores.load()
  if (now === 'records') void records.load()
  if (last !== null) fill(last)
}

function refresh() {
  const now = viewNow()
  if (now === 'stores') stores.again()
  if (now === 'records') void records.load()
  if (last !== null) fill(last)
}

function fill(live) {
  last = live
  document.title = `${live.topology} · millrace`
  say(byId('title'), live.topology)
  state(live.ready ? 'ready' : 'restoring', live.ready ? 'ready' : wordOfRestore(live))
  for (const [i, [, of]] of TILES.entries()) say(byId(`tile-${i}`), of(live))
  void topology.draw(live.shape, openStore).then(() => topology.fill(live))
  stores.sizesOf(live)
  records.fill(live)
  processView.fill(live)
}

function wordOfRestore({ restores }) {
  const remaining = restores.reduce((sum, restore) => sum + restore.remaining, 0)
  return remaining > 0 ? `restoring, ${count(remaining)} to go` : 'not ready'
}

function state(kind, text) {
  byId('state').dataset.state = kind
  say(byId('state'), text)
}

const THEMES = ['system', 'light', 'dark']
const theme = () => localStorage.getItem('millrace-theme') ?? 'system'

function applyTheme(name) {
  if (name === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = name
  say(byId('theme'), `Theme: ${name}`)
}

function nextTheme() {
  const next = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length]
  localStorage.setItem('millrace-theme', next)
  applyTheme(next)
}

const KEYS = {
  r: refresh,
  t: nextTheme,
  '?': () => byId('help').showModal(),
  '/': () => {
    const begun = stores.load()
    location.hash = 'stores'
    void begun.then(() => requestAnimationFrame(stores.focusKey))
  },
}
for (const [i, view] of VIEWS.entries()) {
  KEYS[String(i + 1)] = () => {
    location.hash = view
  }
}

function hear(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]') !== null) return
  if (event.target instanceof Element && event.target.closest('input, select, textarea') !== null) {
    if (event.key === 'Escape') event.target.blur()
    return
  }
  const run = Object.hasOwn(KEYS, event.key) ? KEYS[event.key] : undefined
  if (run === undefined) return
  event.preventDefault()
  run()
}

byId('tiles').append(...TILES.map(([name], i) => h('div', {}, h('dt', {}, name), h('dd', { id: `tile-${i}` }, '–'))))
applyTheme(theme())
records.frame()
processView.frame()
byId('theme').addEventListener('click', nextTheme)
byId('keys').addEventListener('click', KEYS['?'])
show(byId('token'), hasToken())
byId('token').addEventListener('click', () => void askToken(false))
byId('token-forget').addEventListener('click', () => {
  forgetToken()
  location.reload()
})
addEventListener('hashchange', turn)
addEventListener('keydown', hear)
turn()
void listen(
  (live) => fill(rated(live)),
  (error) => state('lost', error.code === 'TOO_MANY_READERS' ? 'too many pages are open' : refusal(error)),
)
