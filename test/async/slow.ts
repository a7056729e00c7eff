// Calls that answer at once, soon, never, or only after the clock has gone on.
import { string, topology } from 'millrace'

const TEXT = { key: string(), value: string() }

export default topology('slow', (t) => {
  t.stream('in', TEXT)
    .mapAsync(
      (value, _, { signal }) => {
        const [how] = value.split(' ')
        if (how === 'soon') return new Promise<string>((resolve) => setTimeout(() => resolve(value), 50))
        if (how === 'never') return new Promise<string>((_resolve, reject) => signal.addEventListener('abort', reject))
        if (how === 'fails') return Promise.reject(new Error('no'))
        return Promise.resolve(value)
      },
      { store: 'calls', concurrency: 10, retry: { attempts: 3, backoff: '1s' }, timeout: '30s', value: string() },
    )
    .to('out', TEXT)
})
