// The plan as one self-contained SVG: a panel a sub-topology, records flowing from left to right. No script, no style sheet and no
// outside reference, so that it can be shown under any content policy.
import { type Graph, type GraphNode, type GraphSubTopology, type GraphTopic, titleOf } from './graph.ts'
import { type Box, type Link, layOut, type Placed } from './layout.ts'

const CHAR = 6.7
const LINE = 16
const PAD = 10
const MARGIN = 24
const TITLE = 30
/** As wide as what will stand there. */
const FIGURES = ' '.repeat(18)
const FONT = 'font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="11"'

interface Shape {
  readonly id: string
  readonly lines: readonly string[]
  readonly hint: string
  readonly look: 'topic' | 'internal' | 'stateful' | 'plain'
  /** What it is a picture of: a topic read, a topic written, a node. */
  readonly of: { readonly kind: 'in' | 'out' | 'node'; readonly name: string }
}

export interface SvgOptions {
  /** A line is left free in the boxes of topics and of what has a store, for whoever shows figures there. */
  readonly live?: boolean
}

const LOOKS: Readonly<Record<Shape['look'], { readonly fill: string; readonly stroke: string; readonly round: number }>> = {
  topic: { fill: '#fff4d6', stroke: '#b8860b', round: 12 },
  internal: { fill: '#f3e8ff', stroke: '#7e57c2', round: 12 },
  stateful: { fill: '#e0f2ec', stroke: '#2e7d5b', round: 4 },
  plain: { fill: '#ffffff', stroke: '#6b7a8c', round: 4 },
}

export function svgOf(graph: Graph, { live = false }: SvgOptions = {}): string {
  const panels = graph.subTopologies.map((sub) => panelOf(sub, live))
  const width = Math.max(320, graph.topology.length * CHAR * 1.4 + 2 * MARGIN, ...panels.map((panel) => panel.width + 2 * MARGIN))
  const parts: string[] = []
  let y = MARGIN + TITLE
  for (const panel of panels) {
    parts.push(`<g transform="translate(${MARGIN} ${y})">`, ...panel.parts, '</g>')
    y += panel.height + MARGIN
  }
  const title = `<text x="${MARGIN}" y="${MARGIN + 8}" font-size="15" font-weight="bold">${escaped(graph.topology)}</text>`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${round(width)}" height="${round(y)}" viewBox="0 0 ${round(width)} ${round(y)}" role="img" aria-label="${escaped(`topology ${graph.topology}`)}" ${FONT} fill="#1d2733">`,
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#6b7a8c"/></marker></defs>',
    `<rect class="ground" width="100%" height="100%" fill="#ffffff"/>`,
    title,
    ...parts,
    '</svg>',
    '',
  ].join('\n')
}

function panelOf(
  { id, nodes }: GraphSubTopology,
  live: boolean,
): { readonly width: number; readonly height: number; readonly parts: readonly string[] } {
  const { shapes, links } = shapesOf(nodes, live)
  const boxes = shapes.map((shape): Box => ({ id: shape.id, ...sizeOf(shape) }))
  const layout = layOut(boxes, links)
  const width = layout.width + 2 * PAD + 12
  const height = layout.height + TITLE + 2 * PAD
  const shift = { x: PAD + 6, y: TITLE + PAD }
  const parts = [
    `<rect class="panel" width="${round(width)}" height="${round(height)}" rx="8" fill="#f7f9fb" stroke="#d5dde5"/>`,
    `<text x="${PAD + 6}" y="20" fill="#5a6877">sub-topology ${id}</text>`,
    ...layout.paths.map((path) => linkPath(path, shift)),
    ...shapes.flatMap((shape) => shapeParts(shape, layout.boxes.get(shape.id) as Placed, shift)),
  ]
  return { width, height, parts }
}

/** In an order in which links go forward: topics read, nodes, topics written. */
function shapesOf(nodes: readonly GraphNode[], live: boolean): { readonly shapes: Shape[]; readonly links: Link[] } {
  const before = new Map<string, Shape>()
  const after = new Map<string, Shape>()
  const links: Link[] = []
  for (const node of nodes) {
    for (const topic of node.reads) {
      before.set(topic.name, topicShape('in', topic))
      links.push({ from: `in ${topic.name}`, to: node.name })
    }
    for (const child of new Set(node.children)) links.push({ from: node.name, to: child })
    for (const topic of node.writes) {
      after.set(topic.name, topicShape('out', topic))
      links.push({ from: node.name, to: `out ${topic.name}` })
    }
  }
  const shapes = [...before.values(), ...nodes.map(nodeShape), ...after.values()]
  return {
    shapes: live ? shapes.map((shape) => (shape.look === 'plain' ? shape : { ...shape, lines: [...shape.lines, FIGURES] })) : shapes,
    links,
  }
}

function topicShape(side: 'in' | 'out', { name, kind, generated }: GraphTopic): Shape {
  const look = kind === 'internal' ? 'internal' : 'topic'
  return { id: `${side} ${name}`, lines: [marked(name, generated)], hint: `${kind} topic`, look, of: { kind: side, name } }
}

function nodeShape(node: GraphNode): Shape {
  const { name, key, value, stores } = node
  const kept = stores.map((store) => `store ${marked(store.name, store.generated)}`)
  return {
    id: name,
    lines: [...titleOf(node), ...kept],
    hint: `${key} -> ${value}`,
    look: stores.length > 0 ? 'stateful' : 'plain',
    of: { kind: 'node', name },
  }
}

function marked(name: string, generated: boolean): string {
  return generated ? `${name} *` : name
}

function sizeOf({ lines }: Shape): { readonly width: number; readonly height: number } {
  return { width: Math.max(...lines.map((line) => line.length)) * CHAR + 2 * PAD, height: lines.length * LINE + PAD }
}

function shapeParts(shape: Shape, at: Placed, shift: Placed): string[] {
  const { fill, stroke, round: rx } = LOOKS[shape.look]
  const { width, height } = sizeOf(shape)
  const [x, y] = [at.x + shift.x, at.y + shift.y]
  const texts = shape.lines.map((line, i) => {
    const weight = i === 0 ? ' font-weight="bold"' : ' fill="#5a6877"'
    if (line === FIGURES)
      return `<text class="figures" x="${round(x + width / 2)}" y="${round(y + PAD / 2 + (i + 0.75) * LINE)}" text-anchor="middle"/>`
    return `<text x="${round(x + width / 2)}" y="${round(y + PAD / 2 + (i + 0.75) * LINE)}" text-anchor="middle"${weight}>${escaped(line)}</text>`
  })
  return [
    `<g class="${shape.look}" data-kind="${shape.of.kind}" data-name="${escaped(shape.of.name)}"><title>${escaped(shape.hint)}</title>`,
    `<rect x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}" rx="${rx}" fill="${fill}" stroke="${stroke}"/>`,
    ...texts,
    '</g>',
  ]
}

function linkPath(points: readonly Placed[], shift: Placed): string {
  const [first, ...rest] = points.map(({ x, y }) => ({ x: x + shift.x, y: y + shift.y }))
  let d = `M${round(first?.x ?? 0)} ${round(first?.y ?? 0)}`
  let from = first
  for (const to of rest) {
    const middle = ((from?.x ?? 0) + to.x) / 2
    d += `C${round(middle)} ${round(from?.y ?? 0)} ${round(middle)} ${round(to.y)} ${round(to.x)} ${round(to.y)}`
    from = to
  }
  return `<path class="link" d="${d}" fill="none" stroke="#6b7a8c" marker-end="url(#arrow)"/>`
}

function round(n: number): number {
  return Math.round(n * 10) / 10
}

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`)
}
