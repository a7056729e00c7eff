// Elements, made of what they hold. Text is always text: nothing that comes from the server is read as markup, but the picture of the
// topology, which the server draws.

/** `h('td', { class: 'number' }, '12')`. An attribute of null or false is left out; a function is a listener. */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue
    if (typeof value === 'function') element.addEventListener(key.replace(/^on/, ''), value)
    else element.setAttribute(key, value === true ? '' : String(value))
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined))
  return element
}

export const byId = (id) => document.getElementById(id)

/** Changes what is there only where it differs, so that whoever reads or selects it is not disturbed. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text
}

export function show(element, visible) {
  if (element.hidden === visible) element.hidden = !visible
}

/** A table in `place`; where it is there already only its rows are made anew, so that it keeps its place on the screen. `heads` that begin
 *  with # are of numbers. */
export function fillTable(place, caption, heads, rows, empty) {
  const made = rows.map((cells) =>
    h('tr', {}, ...cells.map((cell, i) => (cell instanceof HTMLTableCellElement ? cell : h('td', { class: numeric(heads[i]) }, cell)))),
  )
  if (made.length === 0) made.push(h('tr', {}, h('td', { colspan: heads.length, class: 'empty' }, empty)))
  const known = place.querySelector('table')
  if (known !== null && known.dataset.heads === heads.join() && known.caption.textContent === caption) {
    // What is the same stays: whoever presses a button or has opened a record is not disturbed.
    const [body] = known.tBodies
    const same = body.rows.length === made.length && made.every((row, i) => row.textContent === body.rows[i].textContent)
    if (!same) body.replaceChildren(...made)
    return
  }
  const head = heads.map((text) => h('th', { scope: 'col', class: numeric(text) }, text.replace(/^#/, '')))
  place.replaceChildren(
    h(
      'div',
      { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption },
      h('table', { 'data-heads': heads.join() }, h('caption', {}, caption), h('thead', {}, h('tr', {}, ...head)), h('tbody', {}, ...made)),
    ),
  )
}

const numeric = (head) => (head?.startsWith('#') ? 'number' : null)
