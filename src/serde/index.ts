// The door of the room: the serdes, and what registries and operators build on. Explicit re-exports only.
export { type AvroOptions, type AvroSchema, avro, avroJson, avroReader, avroType, avroWriter } from './avro.ts'
export { bytes } from './bytes.ts'
export { type Guard, json } from './json.ts'
export { boolean, float64, int32, int64 } from './numbers.ts'
export { decodePair, encodePair, pairPrefix } from './ordered.ts'
export type { AnySerde, Serde } from './serde.ts'
export { string } from './text.ts'
