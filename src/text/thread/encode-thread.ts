/**
 * The thread that renders and encodes prompts (tokenizer-thread.ts): its limits and the errors of its jobs.
 */
import { WorkerError } from '../../contract/errors.ts';
import { conversationUnits } from '../template/conversation.ts';
import { EncodeError } from '../tokenizer/encode-error.ts';
import { JobThread } from './job-thread.ts';
import type { EncodeInput, EncodeJob, JobAnswer, ThreadData } from './thread-messages.ts';
import type { StartLimits } from './thread-role.ts';

/** Limits of the thread. Times are in milliseconds. */
export interface ThreadLimits extends StartLimits {
  /** Time of a job. */
  readonly jobMs: number;
  /** Time of a job for each of its UTF-16 units, in addition. */
  readonly unitMs: number;
}

/**
 * A million added tokens open in 7 s. The slowest text of 15 families of tokenizers takes 0.03 ms a
 * character; a template may take a second.
 */
export const THREAD_LIMITS: ThreadLimits = { startMs: 60_000, jobMs: 2_000, unitMs: 0.25, heapMb: 1_024 };

export interface EncodeThreadOptions {
  readonly entry: URL;
  readonly data: ThreadData;
  readonly limits?: ThreadLimits;
  /** Called when the thread was ended before its time or could not start. The next job starts another one. */
  readonly onReplaced?: ((reason: string) => void) | undefined;
}

/** The thread of the tokenizer. Starting it opens the tokenizer; running a job gives its ids. */
export type EncodeThread = JobThread<EncodeJob, JobAnswer, number[]>;

/**
 * The thread, which is not started yet. `run` rejects with WorkerError INVALID_REQUEST if the template
 * refuses the messages, and with EncodeError.
 */
export function encodeThread({ entry, data, limits = THREAD_LIMITS, onReplaced }: EncodeThreadOptions): EncodeThread {
  return new JobThread({
    name: 'tokenizer',
    purpose: 'long prompts',
    entry,
    data,
    limits,
    unitsOf: ({ input }) => unitsOf(input),
    msOf: (units) => Math.ceil(limits.jobMs + units * limits.unitMs),
    tooSlow: (ms) => new EncodeError('too_slow', `tokenizer and template need more than ${ms} ms for the text`),
    tooMuchMemory: (heapMb) =>
      new EncodeError('too_much_memory', `tokenizer and template need more than ${heapMb} MiB for the text`),
    resultOf: idsOf,
    onReplaced,
  });
}

/** The ids of an answer, or the error of the job as it was thrown on the thread. */
function idsOf(answer: JobAnswer): number[] {
  switch (answer.type) {
    case 'ids':
      return answer.ids;
    case 'refused':
      throw new WorkerError('INVALID_REQUEST', undefined, { violations: answer.violations });
    case 'not_encoded':
      throw new EncodeError(answer.kind, answer.message, answer.leastTokens);
    case 'failed':
      throw new Error(`The text could not be encoded: ${answer.message}`);
  }
}

/** UTF-16 units of an input: the measure of its work. */
export function unitsOf(input: EncodeInput): number {
  return typeof input === 'string' ? input.length : conversationUnits(input);
}
