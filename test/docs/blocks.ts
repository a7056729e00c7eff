// Reads a document: its fenced blocks, its commands, the words in backticks. Pure.
//
// 1. Code is in fences, of the kinds sh, ts, text and mermaid; a `text` stands right behind what prints it, and so does a `mermaid`, which
//    forges draw. Nothing else is taken: what is not known here would not be tested.
export interface Block {
  readonly kind: 'sh' | 'ts'
  readonly text: string
  /** Of its first line, from 1. */
  readonly line: number
  /** What it prints, where the document shows it. */
  readonly shown: string | null
}

export interface Command {
  /** With its here-document, without a comment behind it. */
  readonly text: string
  readonly line: number
}

const FENCE = /^```(.*)$/

/** Throws for a fence of another kind, for one that is not closed, and for code that is indented instead. */
export function blocksOf(document: string): readonly Block[] {
  const lines = document.split('\n')
  const blocks: Block[] = []
  let lastEnd = -2
  for (let i = 0; i < lines.length; i++) {
    const fence = FENCE.exec(lines[i] as string)
    if (fence === null) {
      const indented = /^( {4,}|\t)\S/.test(lines[i] as string) && (lines[i - 1] ?? '') === ''
      if (indented) throw new Error(`line ${i + 1}: code is indented; put it into a fence`)
      continue
    }
    const kind = (fence[1] as string).trim()
    if (kind !== 'sh' && kind !== 'text' && kind !== 'mermaid' && kind !== 'ts')
      throw new Error(`line ${i + 1}: a fence of the kind "${kind}" is not tested`)
    const end = lines.findIndex((line, j) => j > i && FENCE.test(line))
    if (end < 0) throw new Error(`line ${i + 1}: the fence is not closed`)
    const text = lines.slice(i + 1, end).join('\n')
    const last = blocks.at(-1)
    if (kind !== 'text' && kind !== 'mermaid') blocks.push({ kind, text, line: i + 2, shown: null })
    else if (last !== undefined && last.shown === null && lastEnd === i - 2 && lines[i - 1] === '')
      blocks[blocks.length - 1] = { ...last, shown: text }
    else throw new Error(`line ${i + 1}: this is printed by nothing; put it right behind what prints it`)
    lastEnd = end
    i = end
  }
  return blocks
}

const closes = (line: string): boolean => FENCE.test(line)

/** One a line; a here-document belongs to the line that opens it. */
export function commandsOf(block: Block): readonly Command[] {
  const lines = block.text.split('\n')
  const commands: Command[] = []
  for (let i = 0; i < lines.length; i++) {
    const opened = /<<'?(\w+)'?/.exec(lines[i] as string)
    const first = i
    if (opened !== null) i = lines.indexOf(opened[1] as string, i)
    const text = lines
      .slice(first, i + 1)
      .join('\n')
      .replace(opened === null ? /\s+#.*$/ : /$^/, '')
      .trim()
    if (text !== '' && !text.startsWith('#')) commands.push({ text, line: block.line + first })
  }
  return commands
}

/** The words in backticks outside the fences, each with its line from 1. */
export function quotedWords(document: string): readonly { readonly word: string; readonly line: number }[] {
  let inside = false
  return document.split('\n').flatMap((text, i) => {
    if (closes(text)) inside = !inside
    if (inside || closes(text)) return []
    return [...text.matchAll(/`([^`]+)`/g)].map((match) => ({ word: match[1] as string, line: i + 1 }))
  })
}

/** Whether it is what was shown: `...` in a line is any text, `...` as a line any lines. */
export function looksLike(shown: string, printed: string): boolean {
  const escaped = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&')
  const pattern = shown
    .trimEnd()
    .split('\n')
    .map((line) => (line === '...' ? '(?:.*\n)*?' : `${line.split('...').map(escaped).join('.*')}\n`))
    .join('')
  return new RegExp(`^${pattern}$`).test(`${printed.trimEnd()}\n`)
}
