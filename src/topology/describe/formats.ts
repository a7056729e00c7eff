// The names of the formats, apart: the binary's help needs them and nothing else of it.
export const DESCRIBE_FORMATS = ['text', 'mermaid', 'svg', 'json'] as const
export type DescribeFormat = (typeof DESCRIBE_FORMATS)[number]
