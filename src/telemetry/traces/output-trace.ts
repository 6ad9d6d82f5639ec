/**
 * The phases of one output as spans: queue, prefill, decode, and interruption if the output loses its slot.
 * One phase is open at a time; nothing is recorded for a token but the first.
 */
import type { OpenSpan } from './open-span.ts';
import type { Attributes } from './span.ts';

/**
 * Reason for which an output has lost its slot. `held`: it waits while the requests of a lost engine are
 * tested one at a time.
 */
export type Interruption = 'engine_lost' | 'preempted' | 'held';

export type Phase = 'queue' | 'prefill' | 'decode' | 'interruption';

/** The part of a request that an output uses. */
export interface PhaseSpans {
  readonly begin: (phase: Phase) => OpenSpan;
  readonly end: (span: OpenSpan) => void;
  /** The first token of the request: called for the first one of each decode phase. */
  readonly onToken: () => void;
}

export class OutputTrace {
  readonly #spans: PhaseSpans;
  readonly #common: Attributes;
  #phase: Phase;
  #span: OpenSpan;
  /** Tokens of the output when the phase began. */
  #tokensBefore = 0;

  /** Begins the queue phase. @param index index of the output in its job */
  constructor(spans: PhaseSpans, index: number) {
    this.#spans = spans;
    this.#common = { 'rbees.output_index': index };
    this.#phase = 'queue';
    this.#span = this.#begin('queue', {});
  }

  /** The output has a slot: its prompt is computed. */
  started(slot: number, tokensIn: number, cachedTokens: number): void {
    this.#next('prefill', 0, { 'rbees.slot': slot, 'rbees.tokens_in': tokensIn, 'rbees.cached_tokens': cachedTokens });
  }

  /** A step has tokens of the output. @param tokensOut tokens before this step */
  token(tokensOut: number): void {
    if (this.#phase === 'decode') return;
    this.#spans.onToken();
    this.#next('decode', tokensOut, {});
  }

  /**
   * The output waits for the next slot. Ignored for an output that has had none, and during an interruption.
   */
  interrupted(tokensOut: number, cause: Interruption): void {
    if (this.#phase === 'queue') return;
    if (cause === 'engine_lost') this.#span.fail('engine_lost');
    this.#next('interruption', tokensOut, { 'rbees.interruption': cause });
  }

  /** The output ends. @param errorCode why, if it is not complete */
  ended(tokensOut: number, errorCode?: string): void {
    if (errorCode !== undefined) this.#span.fail(errorCode);
    this.#finish(tokensOut);
  }

  #next(phase: Phase, tokensOut: number, attributes: Attributes): void {
    if (phase === this.#phase) return;
    this.#finish(tokensOut);
    this.#tokensBefore = tokensOut;
    this.#phase = phase;
    this.#span = this.#begin(phase, attributes);
  }

  #begin(phase: Phase, attributes: Attributes): OpenSpan {
    const span = this.#spans.begin(phase);
    span.set({ ...this.#common, ...attributes });
    return span;
  }

  #finish(tokensOut: number): void {
    if (this.#phase === 'decode') this.#span.set({ 'rbees.tokens_out': tokensOut - this.#tokensBefore });
    this.#spans.end(this.#span);
  }
}
