/** Events of a job as the generation emits them, and readers of what an encoder makes of them. */

import type { JobEvent, TokenEvent } from '../../../src/jobs/job-events.ts';
import type { OutputPart } from '../../../src/text/output/parts.ts';
import { END, STARTED } from '../../jobs/events.ts';
import { exactMessages } from '../../support/sse-form.ts';

export const HEAD = { id: 'chatcmpl-1', created: 1_795_940_130, model: 'haiku', system_fingerprint: 'fp_1' };
export const STARTED_JOB = STARTED;
export const PROMPT: JobEvent = { type: 'prompt', prompt: 0, ids: [7, 8, 9] };
export const END_OF_JOB: JobEvent = { ...END, tokens_in: 3, tokens_out: 5, cached_tokens: 2 };

/** A piece of an output. */
export const piece = (part: OutputPart, more: Partial<TokenEvent> = {}): TokenEvent => ({
  type: 'token',
  t: 'text' in part ? part.text : '',
  i: 0,
  choice: 0,
  part,
  tokensOut: 1,
  ...more,
});
export const content = (text: string, more: Partial<TokenEvent> = {}): TokenEvent =>
  piece({ kind: 'content', text }, more);

export const choiceEnd = (more: Partial<Extract<JobEvent, { type: 'choice_end' }>> = {}): JobEvent => ({
  type: 'choice_end',
  choice: 0,
  reason: 'eos',
  toolCalls: 0,
  tokensOut: 2,
  reasoningTokens: 0,
  ...more,
});

interface Encoding {
  encode(event: JobEvent, id: number): string | undefined;
}

/** The texts that an encoder makes of events. */
export const textOf = (encoder: Encoding, events: readonly JobEvent[]): string =>
  events.map((event, id) => encoder.encode(event, id) ?? '').join('');

/** The data of a stream, `[DONE]` as a text. Throws on a line that is no line of data. */
export function dataOf(text: string): unknown[] {
  return exactMessages(text).map(({ event, data }) => {
    if (event !== undefined) throw new Error(`an event with a name: ${event}`);
    return data === '[DONE]' ? data : JSON.parse(data);
  });
}
