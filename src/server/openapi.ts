// The description of the routes for programs: OpenAPI 3.1. A test holds it against the routes that are there.
import { LIMITS } from '../base/limits.ts'

const NAME = { type: 'string', pattern: '^[A-Za-z0-9._-]{1,200}$' }
const text = (name: string, description: string): object => ({ name, in: 'query', description, schema: { type: 'string' } })
const json = (description: string, schema: object): object => ({ description, content: { 'application/json': { schema } } })
const REFUSED = json('refused', { $ref: '#/components/schemas/Refusal' })
const HEALTH = { $ref: '#/components/schemas/Health' }
const ENTRY = { $ref: '#/components/schemas/Entry' }

function get(summary: string, answers: Readonly<Record<string, object>>, parameters: readonly object[] = []): object {
  return { get: { summary, ...(parameters.length > 0 ? { parameters } : {}), responses: { ...answers, default: REFUSED } } }
}

export function openApi(): object {
  const store = { name: 'store', in: 'path', required: true, schema: NAME }
  return {
    openapi: '3.1.0',
    info: { title: 'millrace', version: '1', description: 'Committed state, health and metrics of a running topology. Read only.' },
    security: [{}, { bearer: [] }],
    paths: {
      '/health': get('Whether it lives, and whether its tasks are restored', { 200: json('alive', HEALTH) }),
      '/health/ready': get('503 until all tasks are restored and run', { 200: json('ready', HEALTH), 503: json('not yet', HEALTH) }),
      '/metrics': get('Metrics for Prometheus', { 200: { description: 'metrics', content: { 'text/plain': {} } } }),
      '/topology': get(
        'The topology as JSON, mermaid or SVG',
        { 200: { description: 'topology', content: { 'application/json': {}, 'text/plain': {}, 'image/svg+xml': {} } } },
        [{ name: 'format', in: 'query', schema: { enum: ['json', 'mermaid', 'svg'], default: 'json' } }],
      ),
      '/openapi.json': get('This document', { 200: json('OpenAPI 3.1', { type: 'object' }) }),
      '/stores': get('The stores that can be read', { 200: json('stores', { $ref: '#/components/schemas/Stores' }) }),
      '/stores/{store}': get(
        'Rows in the order of the bytes of their keys',
        {
          200: json('rows', {
            type: 'object',
            required: ['entries'],
            properties: {
              entries: { type: 'array', items: ENTRY },
              next: { type: 'string', description: 'the following `from`; absent at the end' },
            },
          }),
        },
        [
          store,
          text('from', 'first key, inclusive'),
          text('to', 'last key, inclusive'),
          text('prefix', 'what the bytes of the key begin with'),
          {
            name: 'limit',
            in: 'query',
            schema: { type: 'integer', minimum: 1, maximum: LIMITS.answerRowsMax, default: LIMITS.answerRowsMax },
          },
        ],
      ),
      '/stores/{store}/{key}': get('The row of a key', { 200: json('row', ENTRY), 404: REFUSED }, [
        store,
        { name: 'key', in: 'path', required: true, schema: { type: 'string' } },
      ]),
    },
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
      schemas: {
        Refusal: { type: 'object', required: ['code'], properties: { code: { type: 'string' } } },
        Entry: { type: 'object', required: ['key', 'value'], properties: { key: {}, value: {} } },
        Health: {
          type: 'object',
          required: ['live', 'ready'],
          properties: {
            live: { type: 'boolean' },
            ready: { type: 'boolean' },
            tasks: { type: 'integer' },
            restoring: { type: ['object', 'null'] },
          },
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
