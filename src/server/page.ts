// The files of the live page: what a browser is given, as they lie in page/. They hold no data and are the same everywhere, so they are
// answered without a token; what they show they ask for as anybody does.
//
// 1. Only the files that are in the folder when the server opens are answered, by their names: a path is looked up, never joined.
// 2. The page loads nothing from elsewhere, and nothing that is written into it is run: its policy says so.
import { readdirSync, readFileSync } from 'node:fs'
import type { FastifyInstance } from 'fastify'
import type { Ask } from './asks.ts'
import { fieldsOf } from './fields.ts'

export interface PageFile {
  readonly type: string
  readonly body: Buffer
}

const FOLDER = new URL('page/', import.meta.url)
const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
}

export const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** By their paths: `/` is the page itself. */
export function pageFiles(): ReadonlyMap<string, PageFile> {
  const files = new Map<string, PageFile>()
  for (const name of readdirSync(FOLDER).sort()) {
    const type = TYPES[name.slice(name.lastIndexOf('.') + 1)]
    if (type === undefined) continue
    files.set(name === 'index.html' ? '/' : `/page/${name}`, { type, body: readFileSync(new URL(name, FOLDER)) })
  }
  return files
}

export function addPage(app: FastifyInstance, files: ReadonlyMap<string, PageFile>): void {
  for (const [path, { type, body }] of files) {
    app.get(path, (request, reply) => {
      fieldsOf(request.query as Ask['query'], [])
      return reply.type(type).header('content-security-policy', PAGE_POLICY).header('referrer-policy', 'no-referrer').send(body)
    })
  }
}
