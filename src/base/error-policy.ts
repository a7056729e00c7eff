// What becomes of a record that cannot be processed: a dead letter, silence, or the end of the processor.

export const ERROR_POLICIES = ['deadLetter', 'skip', 'fail'] as const

export type ErrorPolicy = (typeof ERROR_POLICIES)[number]
