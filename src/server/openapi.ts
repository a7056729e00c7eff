// The description of the routes for programs: OpenAPI 3.1. A test holds it against the routes that are there.
import { LIMITS } from '../base/limits.ts'

const NAME = { type: 'string', pattern: '^[A-Za-z0-9._-]{1,200}$' }
const text = (name: string, description: string): object => ({ name, in: 'query', description, schema: { type: 'string' } })
const json = (description: string, schema: object): object => ({ description, content: { 'application/json': { schema } } })
const REFUSED = json('refused', { $ref: '#/components/schemas/Refusal' })
const HEALTH = { $ref: '#/components/schemas/Health' }
const ENTRY = { $ref: '#/components/schemas/Entry' }

const KEY = { name: 'key', in: 'path', required: true, schema: { type: 'string' } }
const LIMIT = {
  name: 'limit',
  in: 'query',
  schema: { type: 'integer', minimum: 1, maximum: LIMITS.answerRowsMax, default: LIMITS.answerRowsMax },
}
const LETTER_LIMIT = {
  name: 'limit',
  in: 'query',
  schema: { type: 'integer', minimum: 1, maximum: LIMITS.lettersShownMax, default: LIMITS.lettersShownMax },
}
const time = (name: string, description: string): object => ({ name, in: 'query', description, schema: { type: 'integer', minimum: 0 } })
const WINDOW_QUERY = [
  time('from', 'first start of a window, or what a session ends at or behind: epoch ms, inclusive'),
  time('to', 'last start, inclusive'),
  text('cursor', 'the `next` of the answer before'),
  LIMIT,
]
const pages = (items: object, next: string): object => ({
  type: 'object',
  required: ['entries'],
  properties: { entries: { type: 'array', items }, next: { type: 'string', description: `${next}; absent at the end` } },
})
const WINDOWS = { 200: json('rows', pages(ENTRY, 'the following `cursor`')), 404: REFUSED }

function get(summary: string, answers: Readonly<Record<string, object>>, parameters: readonly object[] = []): object {
  return { get: { summary, ...(parameters.length > 0 ? { parameters } : {}), responses: { ...answers, default: REFUSED } } }
}

/** Only where a token is configured. */
function post(summary: string): object {
  const offset = { type: 'string', pattern: '^\\d{1,9}:\\d{1,15}$' }
  const named = { type: 'array', items: offset, minItems: 1, maxItems: LIMITS.lettersAtOnceMax }
  const asked = { type: 'object', required: ['offsets'], properties: { offsets: named }, additionalProperties: false }
  const settled = {
    type: 'object',
    required: ['done', 'refused', 'absent'],
    properties: {
      done: { type: 'integer' },
      refused: { type: 'array', items: { type: 'object', properties: { offset, reason: { type: 'string' } } } },
      absent: { type: 'array', items: offset },
    },
  }
  return {
    post: {
      summary,
      security: [{ bearer: [] }],
      requestBody: { required: true, ...json('which', asked) },
      responses: { 200: json('what was done', settled), 409: REFUSED, default: REFUSED },
    },
  }
}

export function openApi(): object {
  const store = { name: 'store', in: 'path', required: true, schema: NAME }
  return {
    openapi: '3.1.0',
    info: {
      title: 'millrace',
      version: '1',
      description: 'Committed state, health and metrics of a running topology. Read only, but for dead letters.',
    },
    security: [{}, { bearer: [] }],
    paths: {
      '/health': get('Whether it lives, and whether its tasks are restored', { 200: json('alive', HEALTH) }),
      '/health/ready': get('503 until all tasks are restored and run', { 200: json('ready', HEALTH), 503: json('not yet', HEALTH) }),
      '/metrics': get('Metrics for Prometheus', { 200: { description: 'metrics', content: { 'text/plain': {} } } }),
      '/topology': get(
        'The topology as JSON, mermaid or SVG',
        { 200: { description: 'topology', content: { 'application/json': {}, 'text/plain': {}, 'image/svg+xml': {} } } },
        [
          { name: 'format', in: 'query', schema: { enum: ['json', 'mermaid', 'svg'], default: 'json' } },
          { name: 'live', in: 'query', description: 'with svg: room for figures in its boxes', schema: { const: 'true' } },
        ],
      ),
      '/': get('The live page; its files need no token', { 200: { description: 'page', content: { 'text/html': {} } } }),
      '/events': get('What the live page shows, once a second', { 200: { description: 'events', content: { 'text/event-stream': {} } } }),
      '/parked': get('Records that wait in operators of this process', { 200: json('records', { $ref: '#/components/schemas/Parked' }) }, [
        LETTER_LIMIT,
      ]),
      '/dead-letters': get('Dead letters that are pending', { 200: json('letters', { $ref: '#/components/schemas/Letters' }) }, [
        LETTER_LIMIT,
      ]),
      '/dead-letters/replay': post('Writes dead letters back to the topics that they were read from'),
      '/dead-letters/drop': post('Takes dead letters off the list'),
      '/openapi.json': get('This document', { 200: json('OpenAPI 3.1', { type: 'object' }) }),
      '/stores': get('The stores that can be read', { 200: json('stores', { $ref: '#/components/schemas/Stores' }) }),
      '/stores/{store}': get(
        'Rows in the order of the bytes of their keys',
        {
          200: json('rows', pages(ENTRY, 'the following `from`')),
        },
        [
          store,
          text('from', 'first key, inclusive'),
          text('to', 'last key, inclusive'),
          text('prefix', 'what the bytes of the key begin with'),
          LIMIT,
        ],
      ),
      '/stores/{store}/{key}': get('The row of a key', { 200: json('row', ENTRY), 404: REFUSED }, [
        store,
        KEY,
        time('asOf', 'of a versioned store: the row that held then, with its timestamp'),
      ]),
      '/windows/{store}': get('Windows and sessions of all keys, or of some', WINDOWS, [
        store,
        text('keyFrom', 'first key, inclusive'),
        text('keyTo', 'last key, inclusive'),
        ...WINDOW_QUERY,
      ]),
      '/windows/{store}/{key}': get('Windows or sessions of a key', WINDOWS, [store, KEY, ...WINDOW_QUERY]),
      '/versions/{store}/{key}': get(
        'Versions of a key that held between two times, the latest first; a null value: there was no row from then on',
        { 200: json('versions', pages({ $ref: '#/components/schemas/Version' }, 'the following `to`')), 404: REFUSED },
        [store, KEY, time('from', 'epoch ms, inclusive'), time('to', 'epoch ms, inclusive'), LIMIT],
      ),
    },
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
      schemas: {
        Refusal: {
          type: 'object',
          required: ['code'],
          properties: {
            code: { type: 'string' },
            restored: { type: 'integer', description: 'of STORE_RESTORING: records that are there' },
            remaining: { type: 'integer', description: 'of STORE_RESTORING: changelog offsets that are still to come' },
          },
        },
        Version: { type: 'object', required: ['value', 'timestamp'], properties: { value: {}, timestamp: { type: 'integer' } } },
        Entry: {
          type: 'object',
          required: ['key', 'value'],
          properties: { key: {}, value: {}, timestamp: { type: 'integer', description: 'where asOf was asked' } },
        },
        Health: {
          type: 'object',
          required: ['live', 'ready'],
          properties: {
            live: { type: 'boolean' },
            ready: { type: 'boolean' },
            tasks: { type: 'integer' },
            restoring: { type: ['object', 'null'] },
            standbys: { type: ['object', 'null'] },
          },
        },
        Parked: {
          type: 'object',
          required: ['records', 'more'],
          properties: { records: { type: 'array', items: { type: 'object' } }, more: { type: 'boolean' } },
        },
        Letters: {
          type: 'object',
          required: ['letters', 'more'],
          properties: { letters: { type: 'array', items: { type: 'object' } }, more: { type: 'boolean' } },
        },
        Stores: {
          type: 'object',
          required: ['stores'],
          properties: {
            stores: {
              type: 'array',
              items: {
                type: 'object',
                properties: {
                  name: NAME,
                  key: { type: 'string' },
                  value: { type: 'string' },
                  rows: { enum: ['keys', 'windows', 'versions'], description: 'how its rows are found' },
                  tasks: { type: 'integer' },
                  here: { type: 'integer' },
                },
              },
            },
          },
        },
      },
    },
  }
}
