// Whether an operator that holds records in its store has room for one more, where its input is to wait when it has not.
//
// Invariant: what one piece (a record, a timer, what is due) leads to goes in wholly, if there was room when its first came: a record
// that makes more rows than there may be would wait for ever, each try being undone. The bound is soft by that one piece.
import type { TaskServices } from './operator.ts'

/** `isFull` is asked once a piece. What is given pauses the input when there is no room; it comes back where that must not wait. */
export function waitForRoom(services: Pick<TaskServices, 'pauseInput' | 'piece'>, isFull: () => boolean): () => void {
  let piece = -1
  let full = false
  return () => {
    const present = services.piece()
    if (present !== piece) {
      piece = present
      full = isFull()
    }
    if (full) services.pauseInput()
  }
}
