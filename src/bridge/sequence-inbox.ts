/**
 * One sequence on the worker's side: its steps on their way from the message callback to the request's own loop, and what is known of
 * where it stands. Sends nothing itself.
 */
import type { Finish, Note, SequenceReport, SequenceRequest } from '../protocol/messages.ts';

/** What one step did for a sequence; `batch` = sequences computed in that step. */
export interface Step {
  readonly batch: number;
  readonly report: SequenceReport;
  /** Why the engine was lost in which the sequence waited: it has its place in the queue of the next one. */
  readonly lost?: string;
  /** The engine has not confirmed the cancel in time: the sequence is over for its caller, its slot is free later. */
  readonly unconfirmed?: true;
}

/** Whether a sequence is to pause because its reader lags: asked when it is submitted, told when that changes. */
export interface Backpressure {
  readonly paused: boolean;
  /** `changed` is called at every change from then on; one listener at a time. */
  onChange(changed: (held: boolean) => void): void;
}

/** Bounded by the sequence's max_tokens: the engine reports no more tokens than that. */
export class SequenceInbox {
  readonly request: SequenceRequest;
  /** Holds it while its reader lags, in whichever engine it is. */
  readonly backpressure: Backpressure | undefined;
  readonly #steps: Step[] = [];
  readonly #bornAt = performance.now();
  #failure: Error | undefined;
  #wake: (() => void) | undefined;
  /** What the engine said when it gave the sequence a slot. */
  #started: Extract<Note, { note: 'started' }> | undefined;
  /** Milliseconds that it waited for an engine that is gone: the next one counts from its arrival there. */
  #waitedMs = 0;
  /** It was asked to stop. */
  cancelled = false;
  /** Nobody takes its steps any more. */
  left = false;
  /** The engine is done with it: its slot is free, or was lost with the engine. */
  finished = false;
  /** Prompt and output so far. */
  tokens: number;

  constructor(request: SequenceRequest, flow?: Backpressure) {
    this.request = request;
    this.backpressure = flow;
    this.tokens = request.prompt.length;
  }

  /** Whether it has, or had, a slot. */
  get started(): boolean {
    return this.#started !== undefined;
  }

  /** A step that the engine reports. */
  put({ batch, report }: Step): void {
    this.tokens += report.tokens.length;
    this.finished ||= report.finish !== undefined;
    const whole = this.#waitedMs > 0 ? withWait(report, this.#waitedMs) : report;
    this.#started ??= whole.notes.find((note) => note.note === 'started');
    this.#push({ batch, report: whole });
  }

  /** Its engine was lost before it had a slot, or there is none at the moment: it waits on. */
  wait(lost: string): void {
    this.#push({ batch: 0, report: { id: this.request.id, notes: [], tokens: [] }, lost });
  }

  /** A new engine has it from now on. */
  moved(): void {
    this.#waitedMs = performance.now() - this.#bornAt;
  }

  /** Its engine is gone, and it was asked to stop anyway: that is how it ends. */
  end(): void {
    this.finished = true;
    this.#push({ batch: 0, report: this.#cancelled() });
  }

  /** The engine says nothing to the cancel: the caller is not kept waiting, the slot is counted as taken until it does. */
  giveUp(): void {
    this.#push({ batch: 0, report: this.#cancelled(), unconfirmed: true });
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

  #push(step: Step): void {
    if (this.left) return;
    this.#steps.push(step);
    this.#wake?.();
  }

  #cancelled(): SequenceReport {
    const timings = { queueMs: this.#started?.queueMs ?? 0, prefillMs: 0, decodeMs: 0 };
    const finish: Finish = {
      reason: 'cancelled',
      cachedTokens: this.#started?.cachedTokens ?? 0,
      drafted: 0,
      accepted: 0,
      timings,
    };
    return { id: this.request.id, notes: [], tokens: [], finish };
  }
}

/** The same report with `ms` more of waiting for a slot. */
function withWait(report: SequenceReport, ms: number): SequenceReport {
  const { notes, finish } = report;
  return {
    ...report,
    notes: notes.map((note) => (note.note === 'started' ? { ...note, queueMs: note.queueMs + ms } : note)),
    ...(finish && { finish: { ...finish, timings: { ...finish.timings, queueMs: finish.timings.queueMs + ms } } }),
  };
}
