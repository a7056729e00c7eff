// With PROPERTY_SEED=N every property draws from that seed, so that a run says the same again; without it each run draws anew, and
// a failure prints its seed. `.ci/run` sets it: whether a commit passes must not hang on the day.
const seed = process.env.PROPERTY_SEED
if (seed !== undefined && seed !== '') {
  if (!Number.isInteger(Number(seed))) throw new Error(`PROPERTY_SEED is ${JSON.stringify(seed)}, not a whole number`)
  const { default: fc } = await import('fast-check') // only now: most files do without
  fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(seed) })
}

export {}
