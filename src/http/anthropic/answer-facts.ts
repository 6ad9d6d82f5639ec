/** The facts of an answer that a stream and a document of Anthropic's dialect both have. Pure. */
import type { z } from 'zod';
import type { MessageUsage } from '../../contract/anthropic/answers.ts';
import type { EventBody } from '../../contract/events.ts';
import type { ChoiceEndEvent } from '../../jobs/job-events.ts';

/** The caller's part of an encoder. */
export interface EncoderOptions {
  /** Id of the message, which is that of the job. */
  readonly id: string;
  /** Correlation id of the request. */
  readonly requestId: string;
  /** Name of the loaded model. */
  readonly model: string;
  /** The answer carries the narration of the request. */
  readonly narration: boolean;
}

/** Signature of a block of reasoning: this worker signs nothing, and checks none. */
export const NO_SIGNATURE = '';

/** The tokens of a finished answer. Anthropic counts the cached tokens of the prompt apart from the rest. */
export const usageOf = ({ tokens_in, cached_tokens, tokens_out }: EventBody<'end'>): z.output<typeof MessageUsage> => ({
  input_tokens: tokens_in - cached_tokens,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: cached_tokens,
  output_tokens: tokens_out,
});

/** Why an answer ended. An answer with calls that ends by itself waits for their results. */
export function stopOf({ reason, matched, toolCalls }: Pick<ChoiceEndEvent, 'reason' | 'matched' | 'toolCalls'>) {
  if (reason === 'stop_sequence') return { stop_reason: 'stop_sequence', stop_sequence: matched ?? null } as const;
  if (reason === 'max_tokens') return { stop_reason: 'max_tokens', stop_sequence: null } as const;
  return { stop_reason: toolCalls > 0 ? 'tool_use' : 'end_turn', stop_sequence: null } as const;
}

/** A narration as the answer carries it: the event of the native stream. */
export const narrationOf = (event: EventBody<'narration'>, requestId: string): object => ({
  ...event,
  correlation_id: requestId,
});
