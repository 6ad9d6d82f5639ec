/**
 * The events of a job, which its encoder turns into a wire format. They are the events of the native stream
 * with more facts, and three events for the other formats. Types only.
 */
import type { EventBody } from '../contract/events.ts';
import type { TokenReport } from '../protocol/messages.ts';
import type { OutputPart } from '../text/output/parts.ts';

/** A piece of an output. The native format writes its part in the fields that are left out here. */
export type TokenEvent = Omit<EventBody<'token'>, 'part' | 'call' | 'call_id'> & {
  /** Index of the output: prompt index × choices + choice index. Absent: 0. */
  readonly choice?: number;
  /** Absent: `t` is content. */
  readonly part?: OutputPart;
  /** Tokens of all outputs so far. */
  readonly tokensOut?: number;
};

/** A prompt as the model gets it. Follows `started`, once for each prompt. */
export interface PromptEvent {
  readonly type: 'prompt';
  /** Index of the prompt. */
  readonly prompt: number;
  readonly ids: readonly number[];
}

/** Log-probabilities of consecutive tokens of a prompt. In order; all of them before the first output. */
export interface ScoresEvent {
  readonly type: 'scores';
  readonly prompt: number;
  /** Index of the first of these tokens, at least 1: the first token of a prompt has no probability. */
  readonly from: number;
  readonly scores: readonly TokenReport[];
}

/** The end of one output. The event `end` of the job follows when all outputs have ended. */
export interface ChoiceEndEvent {
  readonly type: 'choice_end';
  readonly choice: number;
  readonly reason: 'max_tokens' | 'eos' | 'stop_sequence';
  /** The stop string that ended the output. */
  readonly matched?: string;
  readonly toolCalls: number;
  readonly tokensOut: number;
  readonly reasoningTokens: number;
  /** With log-probabilities: tokens without a text after the last piece, such as a special token. */
  readonly unreported?: readonly TokenReport[];
}

/** An event as a job emits it. */
export type JobEvent =
  | EventBody<'started' | 'narration' | 'metrics' | 'end' | 'error'>
  | TokenEvent
  | PromptEvent
  | ScoresEvent
  | ChoiceEndEvent;
