/** The failures of a generation. */
import type { EngineLostError } from '../../bridge/child.ts';
import type { Retry, StreamErrorCode } from '../../contract/errors.ts';
import type { FailureReason } from '../../protocol/messages.ts';

const NO_STEP = 'the runtime could not compute a step';
/** Why a job fails: for its stream, and for the operator. */
export interface Failure {
  readonly code: StreamErrorCode;
  readonly reason: string;
  /** Absent: the sentence of the code. */
  readonly message?: string;
  /** Absent: the one of the code. */
  readonly retry?: Retry;
}

/** The failure of each reason for which the engine ends a sequence with an error. */
export const FAILURES: Readonly<Record<FailureReason, Failure>> = {
  failed: { code: 'INFERENCE_FAILED', reason: NO_STEP },
  out_of_memory: { code: 'VRAM_OOM', reason: NO_STEP },
  not_continuable: {
    code: 'INVALID_REQUEST',
    reason: 'the output so far does not match the request',
    message:
      'resume.token_ids must be the beginning of an output of the demanded form; send the request without resume.',
  },
};

/** The failure of a job whose engine was lost. No worker is asked to try a request that ended its engine. */
export function engineLost({ message: reason, causedLosses }: EngineLostError): Failure {
  if (causedLosses === undefined) return { code: 'ENGINE_LOST', reason };
  const message = `This request ended the engine ${causedLosses} times in a row, the last time alone; change the request.`;
  return { code: 'ENGINE_LOST', reason, message, retry: 'never' };
}
