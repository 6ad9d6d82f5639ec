/** The failures of a generation that the engine reports. */
import type { StreamErrorCode } from '../../contract/errors.ts';
import type { FailureReason } from '../../protocol/messages.ts';

const NO_STEP = 'the runtime could not compute a step';
/** Why a job fails: for its stream, and for the operator. */
export interface Failure {
  readonly code: StreamErrorCode;
  readonly reason: string;
  /** Absent: the sentence of the code. */
  readonly message?: string;
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
