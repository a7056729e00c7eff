// Reads a source file as the tidy rules need it: its code without comments and text, and what it imports.
// It is no parser: a small scanner that knows comments, strings, templates and regular expressions.

/** The code with comments and the inside of strings and regular expressions blanked; every character stays where it was. */
export function bareCode(source: string): string {
  const out = source.split('')
  const braces: number[] = [] // a number a template that is open: the braces open in its present `${}`
  const blank = (from: number, to: number): void => {
    for (let at = from; at < to; at++) if (out[at] !== '\n') out[at] = ' '
  }
  /** From the first character of a template's text to behind its end or behind its next `${`. */
  const template = (from: number): number => {
    for (let at = from; at < source.length; at++) {
      if (source[at] === '\\') at++
      else if (source[at] === '`') {
        blank(from, at)
        return at + 1
      } else if (source[at] === '$' && source[at + 1] === '{') {
        blank(from, at)
        braces.push(0)
        return at + 2
      }
    }
    return source.length
  }
  let i = 0
  while (i < source.length) {
    const c = source[i] as string
    const open = braces.length - 1
    let end = i + 1
    if (c === '/' && (source[end] === '/' || source[end] === '*')) {
      const close = source[end] === '/' ? source.indexOf('\n', end) : source.indexOf('*/', end + 1) + 2
      end = close < end ? source.length : close
      blank(i, end)
    } else if (c === "'" || c === '"') {
      end = endOfQuote(source, c, end)
      blank(i + 1, end)
      end++
    } else if (c === '`') end = template(end)
    else if (c === '/' && startsRegex(out, i)) {
      end = endOfRegex(source, end)
      if (end > i + 1) blank(i, end)
    } else if (c === '{' && open >= 0) braces[open] = (braces[open] as number) + 1
    else if (c === '}' && open >= 0) {
      if (braces[open] === 0) {
        braces.pop()
        end = template(end)
      } else braces[open] = (braces[open] as number) - 1
    }
    i = end
  }
  return out.join('')
}

function endOfQuote(source: string, quote: string, from: number): number {
  for (let at = from; at < source.length; at++) {
    if (source[at] === '\\') at++
    else if (source[at] === quote || source[at] === '\n') return at
  }
  return source.length
}

/** A slash begins a regular expression where a value may begin. */
function startsRegex(bare: readonly string[], at: number): boolean {
  let last = at - 1
  while (last >= 0 && /\s/.test(bare[last] as string)) last--
  const text = bare.slice(Math.max(0, last - 10), last + 1).join('')
  if (text === '') return true
  if (/(^|[^\w$.])(return|typeof|case|in|of|do|else|void|delete|throw|await|yield)$/.test(text)) return true
  return !/[\w$)\]}'"`]$/.test(text)
}

function endOfRegex(source: string, from: number): number {
  let inClass = false
  for (let at = from; at < source.length && source[at] !== '\n'; at++) {
    const c = source[at]
    if (c === '\\') at++
    else if (c === '[') inClass = true
    else if (c === ']') inClass = false
    else if (c === '/' && !inClass) {
      let end = at + 1
      while (/[a-z]/.test(source[end] ?? '')) end++
      return end
    }
  }
  return from // a division after all
}

export interface Import {
  readonly specifier: string
  /** `import type`, `export type`: gone at run time. */
  readonly typeOnly: boolean
  /** The names taken, as written before `as`; `*` for a namespace, `default` for the default. */
  readonly names: readonly string[]
}

/** Every import, re-export and dynamic import with a literal specifier. */
export function importsOf(source: string): readonly Import[] {
  const bare = bareCode(source)
  const found: Import[] = []
  const textAt = (quoteAt: number): string => {
    const end = bare.indexOf(bare[quoteAt] as string, quoteAt + 1)
    return source.slice(quoteAt + 1, end)
  }
  for (const match of bare.matchAll(/(?<![\w$.])(?:import|export)\s+(type\s+)?((?:[\w$*\s,]|\{[^{}]*\})*?)\s*from\s*(?=['"])/g)) {
    found.push({ specifier: textAt(match.index + match[0].length), typeOnly: match[1] !== undefined, names: namesOf(match[2] ?? '') })
  }
  for (const match of bare.matchAll(/(?<![\w$.])import\s*(?=['"])/g)) {
    found.push({ specifier: textAt(match.index + match[0].length), typeOnly: false, names: [] })
  }
  for (const match of bare.matchAll(/(?<![\w$.])import\s*\(\s*(?=['"])/g)) {
    found.push({ specifier: textAt(match.index + match[0].length), typeOnly: false, names: ['*'] })
  }
  return found
}

function namesOf(clause: string): readonly string[] {
  const names: string[] = []
  const braces = /\{([^{}]*)\}/.exec(clause)
  for (const part of (braces?.[1] ?? '').split(',')) {
    const name =
      part
        .trim()
        .replace(/^type\s+/, '')
        .split(/\s+as\s+/)[0] ?? ''
    if (name !== '') names.push(name)
  }
  const rest = clause
    .replace(/\{[^{}]*\}/, '')
    .replace(/,/g, ' ')
    .trim()
  if (rest.startsWith('*')) names.push('*')
  else if (rest !== '') names.push('default')
  return names
}
