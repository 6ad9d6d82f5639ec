/**
 * Steps of one sequence on their way from the message callback to the request's own loop.
 */
import type { SequenceReport } from './protocol.ts';

/** What one step did for a sequence; `batch` = sequences computed in that step. */
export interface Step {
  readonly batch: number;
  readonly report: SequenceReport;
}

/** Bounded by the sequence's max_tokens: the engine reports no more tokens than that. */
export class Mailbox {
  readonly #steps: Step[] = [];
  #failure: Error | undefined;
  #wake: (() => void) | undefined;
  started = false;
  finished = false;
  /** Prompt and output so far. */
  tokens: number;

  constructor(promptTokens: number) {
    this.tokens = promptTokens;
  }

  put(step: Step): void {
    this.tokens += step.report.tokens.length;
    this.started ||= step.report.notes.some((note) => note.note === 'started');
    this.finished ||= step.report.finish !== undefined;
    this.#steps.push(step);
    this.#wake?.();
  }

  fail(error: Error): void {
    this.finished = true;
    this.#failure = error;
    this.#wake?.();
  }

  /** The next step; what arrived before a failure is still given. */
  async next(): Promise<Step> {
    for (;;) {
      const step = this.#steps.shift();
      if (step) return step;
      if (this.#failure) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }
}
