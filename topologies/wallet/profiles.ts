// Who the accounts belong to: `user.updated` events with versions, reduced to the latest of each user whatever order they come in.
import { json, string, topology } from 'millrace'

export interface UserUpdated {
  /** Counted by the service that owns users. */
  readonly version: number
  /** The user has left. */
  readonly deleted?: boolean
  readonly name: string
  readonly email: string
}

const isUpdate = (value: unknown): boolean => Number.isSafeInteger((value as UserUpdated | null)?.version)

export default topology('profiles', (t) => {
  t.stream('user.updated', { key: string(), value: json<UserUpdated>(isUpdate) })
    .lastWriteWins({ store: 'profiles', version: (user) => user.version, deleted: (user) => user.deleted === true })
    .toStream()
    .to('profiles', { key: string(), value: json() })
})
