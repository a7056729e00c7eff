// The few bytes that go along with a committed input position: the partition's time, then the task's timers, where it has some.
// `1700000000000` or `1700000000000;1xk2.0:lx8f2a`.

export interface PositionNote {
  /** Greatest timestamp processed; -1: none. */
  readonly partitionTime: number
  readonly timers: string
}

export function writePositionNote({ partitionTime, timers }: PositionNote): string {
  return timers === '' ? String(partitionTime) : `${partitionTime};${timers}`
}

export function readPositionNote(text: string): PositionNote {
  const [time = '', timers = ''] = text.split(';')
  const partitionTime = time === '' ? Number.NaN : Number(time)
  return { partitionTime: Number.isSafeInteger(partitionTime) ? partitionTime : -1, timers }
}
