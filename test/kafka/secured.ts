// A broker with doors as a company has them: TLS with passwords, ACLs, no topics by themselves. Beside them one whose certificate is over,
// and the plain one, by which the tests administer: who comes in there is nobody, and may do everything.
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type RunningKafka, type ScramUser, startKafka } from './broker.ts'

const run = promisify(execFile)
const STORE_PASSWORD = 'for-tests'

export interface SecuredKafka {
  readonly kafka: RunningKafka
  /** SASL over TLS; its certificate, PEM. */
  readonly secure: string
  readonly ca: string
  /** TLS alone, with a certificate that has expired. */
  readonly expired: string
  readonly expiredCa: string
  stop(): Promise<void>
}

interface Certificate {
  readonly store: string
  readonly pem: string
}

/** `plain`: passwords of users that log in by PLAIN, and may do everything. */
export async function startSecured(users: readonly ScramUser[], plain: Readonly<Record<string, string>>): Promise<SecuredKafka> {
  const home = mkdtempSync(join(tmpdir(), 'millrace-tls-'))
  const remove = (): void => rmSync(home, { recursive: true, force: true })
  try {
    const [good, over] = await Promise.all([
      certificate(home, 'good', ['-validity', '2']),
      certificate(home, 'over', ['-startdate', '-9d', '-validity', '2']),
    ])
    const kafka = await startKafka({
      partitionsDefault: 2,
      listeners: { SECURE: 'SASL_SSL', EXPIRED: 'SSL' },
      users,
      config: {
        'connections.max.idle.ms': 1_000,
        'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
        'super.users': ['ANONYMOUS', ...Object.keys(plain)].map((name) => `User:${name}`).join(';'),
        'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
        'listener.name.secure.plain.sasl.jaas.config': login('plain.PlainLoginModule', plain),
        'listener.name.secure.scram-sha-256.sasl.jaas.config': login('scram.ScramLoginModule'),
        'listener.name.secure.scram-sha-512.sasl.jaas.config': login('scram.ScramLoginModule'),
        ...keystore('secure', good),
        ...keystore('expired', over),
      },
    })
    return {
      kafka,
      secure: kafka.listeners.SECURE as string,
      ca: good.pem,
      expired: kafka.listeners.EXPIRED as string,
      expiredCa: over.pem,
      async stop() {
        await kafka.stop()
        remove()
      },
    }
  } catch (error) {
    remove()
    throw error
  }
}

async function certificate(home: string, name: string, validity: readonly string[]): Promise<Certificate> {
  const store = join(home, `${name}.p12`)
  const file = join(home, `${name}.pem`)
  const keytool = async (...words: readonly string[]): Promise<void> =>
    void (await run('keytool', [...words, '-alias', 'broker', '-keystore', store, '-storepass', STORE_PASSWORD]))
  const names = ['-dname', 'CN=localhost', '-ext', 'SAN=DNS:localhost,IP:127.0.0.1']
  await keytool('-genkeypair', '-keyalg', 'EC', '-storetype', 'PKCS12', ...names, ...validity)
  await keytool('-exportcert', '-rfc', '-file', file)
  return { store, pem: readFileSync(file, 'utf8') }
}

function login(module: string, passwords: Readonly<Record<string, string>> = {}): string {
  const users = Object.entries(passwords).map(([name, password]) => ` user_${name}="${password}"`)
  return `org.apache.kafka.common.security.${module} required${users.join('')};`
}

function keystore(listener: string, { store }: Certificate): Readonly<Record<string, string>> {
  const prefix = `listener.name.${listener}.ssl.keystore`
  return { [`${prefix}.type`]: 'PKCS12', [`${prefix}.location`]: store, [`${prefix}.password`]: STORE_PASSWORD }
}
