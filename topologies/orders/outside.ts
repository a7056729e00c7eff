// What lies outside: the fraud check, the bank and the mail, called over HTTP. Each is `POST <url>` with an idempotency key; an answer
// that is not 2xx is a failure, and is tried again. Where the environment names no URL, a stand-in answers: for trying things out.
import type { AsyncCall } from 'millrace'

/** Answers what the outside says, as JSON. */
export type Outside<T> = (what: object, call: AsyncCall) => Promise<T>

export function outside<T>(urlIn: string, standIn: (what: never) => T): Outside<T> {
  return async (what, { idempotencyKey, signal }) => {
    const url = process.env[urlIn]
    if (url === undefined) return standIn(what as never)
    const headers = { 'content-type': 'application/json', 'idempotency-key': idempotencyKey }
    const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify(what), signal })
    if (!answer.ok) throw new Error(`${urlIn} answered ${answer.status}`)
    return (await answer.json()) as T
  }
}
