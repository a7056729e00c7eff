// The files of docs/deploy say what the binary knows: their flags, variables, options, paths and ports are real, and what they start, ask and end
// does as the document says. No image is built and no cluster asked: there is neither here.
import { spawn, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { LIMITS } from '../../src/base/limits.ts'
import { projectFiles } from '../../src/cli/init-files.ts'
import { VARIABLE_NAMES } from '../../src/cli/options.ts'
import { buildProgram } from '../../src/cli/program.ts'
import { resolveConfig } from '../../src/config.ts'
import { openApi } from '../../src/server/openapi.ts'
import { node, ownEnvironment, root } from '../cli/binary.ts'
import {
  execForm,
  type Manifest,
  manifestsOf,
  restsOf,
  type Start,
  stagesOf,
  startOfContainer,
  startOfImage,
  startOfUnit,
  unitOf,
} from './deployed.ts'

const FOLDER = join(root, 'docs/deploy')
const UNIT = 'millrace@.service'
const TOKEN = 'token-for-the-probes-0123456789-0123456789'
const PASSWORD = 'password'
const read = (name: string): string => readFileSync(join(FOLDER, name), 'utf8')
const seconds = (text: string): number => Number(/^(\d+)s$/.exec(text)?.[1])

const unit = unitOf(read(UNIT))
const stages = stagesOf(read('Dockerfile'))
const image = stages.at(-1) ?? []
const manifests = manifestsOf(read('kubernetes.yaml'))
const ofKind = (kind: string): Manifest => manifests.find((manifest) => manifest.kind === kind) as Manifest
const pod = ofKind('StatefulSet').spec.template.spec
const container = pod.containers[0]
const optionsText: string = ofKind('ConfigMap').data['options.json']
const inUnit = startOfUnit(unit, '1')
const inImage = startOfImage(image)
const inPod = startOfContainer(container, inImage, { POD_NAME: 'shop-0', MILLRACE_SASL_PASSWORD: PASSWORD })

let place: string
let project: string
beforeAll(() => {
  place = mkdtempSync(join(tmpdir(), 'millrace-deploy-'))
  project = join(place, 'project')
  for (const [file, text] of Object.entries(projectFiles('shop', '0.1.0'))) {
    mkdirSync(dirname(join(project, file)), { recursive: true })
    writeFileSync(join(project, file), text)
  }
  mkdirSync(join(project, 'node_modules'))
  symlinkSync(root, join(project, 'node_modules/millrace'))
  for (const file of readdirSync(FOLDER)) cpSync(join(FOLDER, file), join(project, file))
  writeFileSync(join(place, 'token'), `${TOKEN}\n`)
  writeFileSync(join(place, 'options.json'), '{}')
})
afterAll(() => rmSync(place, { recursive: true, force: true }))

describe.each<[string, Start]>([
  ['the unit', inUnit],
  ['the image', inImage],
  ['the pod', inPod],
])('%s', (_name, { command, env }) => {
  test('starts the binary with words and variables that it knows', () => {
    const [runtime = '', launcher = '', verb, file = '', ...words] = command
    expect(runtime.split('/').at(-1)).toBe('node')
    expect([launcher, verb]).toEqual(['node_modules/millrace/bin/millrace.js', 'run'])
    expect(existsSync(join(project, file)), file).toBe(true)
    const known = buildProgram().commands.find((each) => each.name() === verb)?.options ?? []
    for (const word of words.filter((each) => each.startsWith('--'))) expect(known.map(({ long }) => long)).toContain(word)
    const own = Object.keys(env).filter((name) => name.startsWith('MILLRACE_'))
    expect(own.length).toBeGreaterThan(1)
    for (const name of own) expect(VARIABLE_NAMES).toContain(name)
  })
})

/** Runs it in the project, on the embedded log and a free port; its paths are in the place of this test. */
async function tried(start: Start, paths: Readonly<Record<string, string>>, probes: readonly (readonly string[])[]): Promise<void> {
  const placed = (text: string): string => Object.entries(paths).reduce((all, [from, to]) => all.replaceAll(from, join(place, to)), text)
  const env = Object.fromEntries(Object.entries(start.env).map(([name, value]) => [name, placed(value)]))
  const words = start.command.slice(1).map((word) => (word === '8080' ? '0' : word))
  const running = spawn(node, words, { cwd: project, env: { ...ownEnvironment(), ...env, MILLRACE_PORT: '0' } })
  let said = ''
  running.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  const ended = new Promise<number | null>((resolve) => running.once('close', resolve))
  try {
    await expect.poll(() => said, { timeout: 60_000 }).toMatch(/"msg":"running"|^millrace: /m)
    expect(said).not.toMatch(/^millrace: /m)
    const port = /"port":(\d+)/.exec(said)?.[1] ?? ''
    const probe = ([runtime, ...rest]: readonly string[], more: Readonly<Record<string, string>> = {}): number | null => {
      expect(runtime).toBe('node')
      return spawnSync(node, rest, { cwd: project, env: { ...ownEnvironment(), ...env, MILLRACE_PORT: port, ...more } }).status
    }
    for (const command of probes) expect(probe(command), command.join(' ')).toBe(0)
    const [first = []] = probes
    writeFileSync(join(place, 'other'), `${TOKEN}x`)
    if (env.MILLRACE_TOKEN_FILE !== undefined) expect(probe(first, { MILLRACE_TOKEN_FILE: join(place, 'other') }), 'another token').toBe(1)
    expect(existsSync(join(env.MILLRACE_STATE_DIR as string, 'shop')), 'its stores').toBe(true)
    running.kill('SIGTERM')
    expect(await ended, said).toBe(0)
    expect(probe(first), 'of one that has ended').toBe(1)
  } finally {
    running.kill('SIGKILL')
    await ended
  }
}
const probesOf = (): readonly (readonly string[])[] => [container.livenessProbe.exec.command, container.readinessProbe.exec.command]

describe('systemd', () => {
  const one = (name: string, section = 'Service'): string | undefined => unit(section, name)[0]
  test('it is started again after a failure, not when it was misused, and has time to close', () => {
    expect([one('Restart'), one('RestartPreventExitStatus'), one('KillSignal')]).toEqual(['on-failure', '2', 'SIGTERM'])
    expect(seconds(one('TimeoutStopSec') ?? '')).toBeGreaterThan(LIMITS.stopTimeoutMs / 1000)
    expect(Number(one('LimitNOFILE'))).toBeGreaterThanOrEqual(LIMITS.openFilesMin)
  })
  test('it may write its state directory and nothing else, and gains no right', () => {
    for (const name of ['NoNewPrivileges', 'ProtectHome', 'PrivateTmp', 'PrivateDevices', 'RestrictNamespaces', 'LockPersonality'])
      expect(one(name), name).toBe('yes')
    expect([one('ProtectSystem'), one('CapabilityBoundingSet'), one('UMask')]).toEqual(['strict', '', '0077'])
    expect(one('User')).not.toBe('root')
    expect(inUnit.env.MILLRACE_STATE_DIR).toBe(`%S/${one('StateDirectory')?.replace('%i', '1')}`)
    const handed = unit('Service', 'LoadCredential').map((text) => text.split(':')[0])
    for (const name of ['MILLRACE_CONFIG', 'MILLRACE_TOKEN_FILE']) expect(handed).toContain(inUnit.env[name]?.replace('%d/', ''))
  })
  test('what it starts runs, is ready, and ends in order', { timeout: 120_000 }, async () => {
    await tried(inUnit, { '%S': 'unit', '%d': '' }, probesOf())
  })
  test('systemd itself finds nothing wrong with it', (context) => {
    if (spawnSync('systemd-analyze', ['--version']).status !== 0) context.skip('systemd-analyze is not here')
    // The path of Node is that of the machine it will run on.
    writeFileSync(join(place, UNIT), read(UNIT).replace('ExecStart=/usr/bin/node', `ExecStart=${node}`))
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', join(place, UNIT)], { encoding: 'utf8' })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  })
})

describe('the image', () => {
  const words = (stage: readonly { word: string }[]): string[] => stage.map(({ word }) => word)
  test('it has what the project has, without what only tests need', () => {
    const installs = stages.flatMap((stage) => restsOf(stage, 'RUN')).filter((rest) => rest.startsWith('npm'))
    expect(installs).toHaveLength(1)
    expect(installs[0]).toMatch(/^npm ci --omit=dev --ignore-scripts\b/)
    expect(stages.flatMap(words)).not.toContain('ADD')
    const copied = stages.flatMap((stage) => restsOf(stage, 'COPY')).filter((rest) => !rest.startsWith('--from='))
    const sources = copied.flatMap((rest) => rest.split(' ').slice(0, -1))
    const kept = read('.dockerignore').split('\n')
    expect(
      kept.find((line) => !/^(#|$)/.test(line)),
      'everything is left out but',
    ).toBe('*')
    for (const source of sources) {
      expect(kept).toContain(`!${source}`)
      if (source !== 'package-lock.json') expect(existsSync(join(project, source)), source).toBe(true) // npm install makes it
    }
  })
  test('it is on the Node that is needed, as a user who is not root, with no shell in front', () => {
    const { engines } = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8')) as { engines: { node: string } }
    for (const [from] of stages) expect(from?.rest).toMatch(new RegExp(`^node:${engines.node.replace('>=', '')}-slim\\b`))
    expect(restsOf(image, 'USER')).toEqual(['1000:1000'])
    expect(words(image).indexOf('USER')).toBeLessThan(words(image).indexOf('ENTRYPOINT'))
    expect(restsOf(image, 'STOPSIGNAL')).toEqual(['SIGTERM'])
    expect(inImage.command[0]).toBe('node')
  })
  test('what it writes is in its volume, and its port is the one that is asked', () => {
    const [volume = ''] = restsOf(image, 'VOLUME')
    expect(relative(volume, inImage.env.MILLRACE_STATE_DIR as string)).not.toMatch(/^\.\./)
    expect(restsOf(image, 'EXPOSE')).toEqual([inImage.env.MILLRACE_PORT])
    const [check = ''] = restsOf(image, 'HEALTHCHECK')
    expect(execForm(check)).toEqual(container.livenessProbe.exec.command)
  })
})

describe('Kubernetes', () => {
  const { spec } = ofKind('StatefulSet')
  test('the parts belong together', () => {
    expect(manifests.map(({ kind }) => kind)).toEqual(['ConfigMap', 'Service', 'PodDisruptionBudget', 'StatefulSet'])
    const headless = ofKind('Service')
    expect([headless.spec.clusterIP, spec.serviceName]).toEqual(['None', headless.metadata.name])
    const labels = { app: 'shop' }
    expect(headless.spec.selector).toEqual(labels)
    for (const { matchLabels } of [spec.selector, ofKind('PodDisruptionBudget').spec.selector]) expect(matchLabels).toEqual(labels)
    expect(spec.template.metadata.labels).toEqual(labels)
    expect(headless.spec.ports[0].port).toBe(container.ports[0].containerPort)
    expect(String(container.ports[0].containerPort)).toBe(inPod.env.MILLRACE_PORT)
    const named = new Set([...pod.volumes, ...spec.volumeClaimTemplates.map(({ metadata }: Manifest) => metadata)].map(({ name }) => name))
    expect(new Set(container.volumeMounts.map(({ name }: { name: string }) => name))).toEqual(named)
  })
  test('what the process reads and writes is mounted', () => {
    const under = (path: string | undefined): { name: string; readOnly?: boolean } | undefined =>
      container.volumeMounts.find(({ mountPath }: { mountPath: string }) => path?.startsWith(`${mountPath}/`))
    expect(under(inPod.env.MILLRACE_STATE_DIR)).toMatchObject({ name: spec.volumeClaimTemplates[0].metadata.name })
    expect(under(inPod.env.MILLRACE_CONFIG)).toMatchObject({ name: 'options', readOnly: true })
    expect(under(inPod.env.MILLRACE_TOKEN_FILE)).toMatchObject({ name: 'token', readOnly: true })
    expect(inPod.env.MILLRACE_CONFIG?.split('/').at(-1)).toBe(Object.keys(ofKind('ConfigMap').data)[0])
  })
  test('each pod has its name in the group, and tells the others by which they reach it', () => {
    expect(inPod.env).toMatchObject({ MILLRACE_INSTANCE_ID: 'shop-0', MILLRACE_ADVERTISE: 'shop-0.shop:8080' })
    const { advertise, host } = { advertise: inPod.env.MILLRACE_ADVERTISE as string, host: inPod.env.MILLRACE_HOST as string }
    const given = JSON.parse(optionsText)
    const config = resolveConfig('shop', {
      ...given,
      instanceId: inPod.env.MILLRACE_INSTANCE_ID,
      sasl: { ...given.sasl, password: PASSWORD },
      server: { port: 8080, host, advertise, token: TOKEN },
    })
    expect(config).toMatchObject({ standbys: 1, server: { advertise: 'shop-0.shop:8080' } })
    expect(optionsText).not.toMatch(/password|token/)
  })
  test('it is no root, writes nowhere else, and has time to close', () => {
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000, fsGroup: 1000 })
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(LIMITS.stopTimeoutMs / 1000)
    expect(ofKind('PodDisruptionBudget').spec.maxUnavailable).toBe(1)
  })
  test('its probes ask what there is, and what it starts runs, is ready, and ends in order', { timeout: 120_000 }, async () => {
    const paths = Object.keys((openApi() as { paths: object }).paths)
    expect(probesOf().map((command) => command.at(-1))).toEqual(['/health', '/health/ready'])
    for (const command of probesOf()) expect(paths).toContain(command.at(-1))
    const { MILLRACE_SASL_PASSWORD: _, ...env } = inPod.env // on the embedded log nobody logs in
    await tried({ ...inPod, env }, { '/var/lib/millrace': 'pod', '/run/secrets/shop': '', '/etc/millrace': '' }, probesOf())
  })
})
