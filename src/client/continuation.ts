/** The data with which another worker goes on with an output. Types only. */
import type { StreamEvent } from '../contract/events.ts';
import type { ResumeFacts } from '../contract/resume/fields.ts';

/** Text of one part of an output: the fields are those of the event `token`. */
export type OutputPiece = Pick<Extract<StreamEvent, { type: 'token' }>, 't' | 'part' | 'call' | 'call_id'>;

/** Everything that goes on with an output on another worker. Plain data, which can be kept as JSON. */
export interface Continuation {
  readonly seed: number;
  /** Index of the next event `token` for the reader. */
  readonly index: number;
  /** The output so far. Neighbouring texts of one part are one piece. */
  readonly output: readonly OutputPiece[];
  /** The field `resume` of the next request. Absent without ids: then the output starts again. */
  readonly resume?: ResumeFacts;
}
