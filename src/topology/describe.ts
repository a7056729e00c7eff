// describe: a plan for people and tools. Text for the terminal, mermaid for documents, svg for a page, json for programs.
import { MillraceError } from '../base/errors.ts'
import { DESCRIBE_FORMATS, type DescribeFormat } from './describe/formats.ts'
import { graphOf } from './describe/graph.ts'
import { mermaidOf } from './describe/mermaid.ts'
import { svgOf } from './describe/svg.ts'
import { textOf } from './describe/text.ts'
import type { Plan } from './plan-types.ts'

/** An SVG with room for figures in its boxes. */
export function describeLive(plan: Plan): string {
  return svgOf(graphOf(plan), { live: true })
}

/** Ends with a line break. */
export function describe(plan: Plan, format: DescribeFormat): string {
  const graph = graphOf(plan)
  switch (format) {
    case 'text':
      return textOf(graph)
    case 'mermaid':
      return mermaidOf(graph)
    case 'svg':
      return svgOf(graph)
    case 'json':
      return `${JSON.stringify(graph, null, 2)}\n`
    default:
      throw new MillraceError('STREAM_USAGE', `format ${JSON.stringify(format)} is not known; use ${DESCRIBE_FORMATS.join(', ')}`)
  }
}
