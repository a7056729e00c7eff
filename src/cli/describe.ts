// `millrace describe`: loads the file, plans it, prints it.
import type { DescribeFormat } from '../topology/describe/formats.ts'
import { describe } from '../topology/describe.ts'
import { plan } from '../topology/plan.ts'
import { loadTopology } from './load.ts'
import { outputTo } from './output.ts'

export interface DescribeFlags {
  readonly format: DescribeFormat
  readonly applicationId?: string
}

export async function describeFile(file: string, flags: DescribeFlags): Promise<void> {
  const topology = await loadTopology(file)
  const output = outputTo(process.stdout)
  output.line(describe(plan(topology, flags.applicationId ?? topology.name), flags.format).replace(/\n$/, ''))
  await output.flush()
}
