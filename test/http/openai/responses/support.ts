/** A response with fixed facts, the events of its job, and functions that parse and check its stream. */

import { expect } from 'vitest';
import { RESPONSES_EVENTS, type ResponsesEventType } from '../../../../src/contract/openai/responses/events.ts';
import type { ResponseFacts } from '../../../../src/http/openai/responses/response.ts';
import { settingsOf } from '../../../../src/http/openai/responses/settings.ts';
import { ResponsesStreamEncoder, type SendOptions } from '../../../../src/http/openai/responses/stream-encoder.ts';
import type { ChoiceEndEvent, JobEvent, TokenEvent } from '../../../../src/jobs/job-events.ts';
import { NEUTRAL } from '../../../../src/protocol/sampling.ts';
import type { OutputPart } from '../../../../src/text/output/parts.ts';
import { exactMessages } from '../../../support/sse-form.ts';

export const FACTS: ResponseFacts = {
  id: 'resp_0123',
  model: 'haiku',
  settings: settingsOf({}, { sampling: {} }, { tools: [], choice: 'auto' }, NEUTRAL),
  tokens: { formOf: (id) => ({ text: ` t${id}`, bytes: [32, 116, id] }) },
};
export const OPTIONS: SendOptions = { correlationId: 'req-1', narration: false, keepAlive: 'off' };

export const part = (piece: OutputPart, scores: Partial<TokenEvent> = {}): TokenEvent => ({
  type: 'token',
  t: 'text' in piece ? piece.text : '',
  i: 0,
  part: piece,
  ...scores,
});
export const text = (piece: string, scores?: Partial<TokenEvent>) => part({ kind: 'content', text: piece }, scores);
export const reasoning = (piece: string) => part({ kind: 'reasoning', text: piece });
export const call = (index: number, id: string, name: string) => part({ kind: 'call', index, id, name });
export const args = (index: number, piece: string) => part({ kind: 'arguments', index, text: piece });
export const choiceEnd = (more: Partial<ChoiceEndEvent> = {}): ChoiceEndEvent => ({
  type: 'choice_end',
  choice: 0,
  reason: 'eos',
  toolCalls: 0,
  tokensOut: 2,
  reasoningTokens: 0,
  ...more,
});

/** One event of a stream. */
export type SentEvent = Record<string, unknown> & {
  readonly type: ResponsesEventType;
  readonly sequence_number: number;
};

/** The events of a stream. Each has its name in both places, and the fields of the contract and no other. */
export function eventsIn(stream: string): SentEvent[] {
  return exactMessages(stream).map(({ event: name, data }) => {
    const event = JSON.parse(data) as SentEvent;
    expect(event.type).toBe(name);
    expect(RESPONSES_EVENTS[event.type].parse(event)).toEqual(event);
    return event;
  });
}

/** The stream of a job with these events. */
export function streamOf(events: readonly JobEvent[], options: Partial<SendOptions> = {}): SentEvent[] {
  const encoder = new ResponsesStreamEncoder(FACTS, { ...OPTIONS, ...options });
  return eventsIn(events.map((event) => encoder.encode(event) ?? '').join(''));
}

export const typesOf = (events: readonly SentEvent[]): string[] => events.map(({ type }) => type);
