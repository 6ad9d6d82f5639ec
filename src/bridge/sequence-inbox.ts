/**
 * The way of the engine's reports to the requests: one inbox for the client, which delivers one report per
 * event-loop turn, and one list of steps per sequence, which the request's own loop reads. Sends nothing to
 * the engine.
 */
import type { Finish, FromEngine, Note, SequenceReport, SequenceRequest } from '../protocol/messages.ts';

/** One step of a sequence; `batch` = sequences computed in that step. */
export interface Step {
  readonly batch: number;
  readonly report: SequenceReport;
  /** Why the engine was lost in which the sequence waited; it waits for the next engine. */
  readonly lost?: string;
  /** The engine has not confirmed the cancel in time: the slot of the sequence is still busy. */
  readonly unconfirmed?: true;
}

/** Pauses a sequence while its subscriber lags. */
export interface Backpressure {
  readonly paused: boolean;
  /** Calls `changed` at every change from now on; one listener at a time. */
  onChange(changed: (paused: boolean) => void): void;
}

type Report = Extract<FromEngine, { kind: 'report' }>;

/**
 * The sequences of a client, and the reports on their way to them. A busy worker can read dozens of reports
 * from the pipe at once; handling them together would block `/health` for tens of milliseconds.
 */
export class SequenceInbox {
  readonly #sequences = new Map<number, RemoteSequence>();
  /** In the order of their arrival. */
  readonly #reports: Report[] = [];
  #next: NodeJS.Immediate | undefined;

  /** In the order of `add`. A sequence may be removed during the iteration. */
  get sequences(): Iterable<RemoteSequence> {
    return this.#sequences.values();
  }

  add(sequence: RemoteSequence): void {
    this.#sequences.set(sequence.request.id, sequence);
  }

  remove({ request }: RemoteSequence): void {
    this.#sequences.delete(request.id);
  }

  /** Delivers a report at the end of this turn; later if other reports are before it, one per turn. */
  put(report: Report): void {
    this.#reports.push(report);
    this.#next ??= setImmediate(() => this.#turn());
  }

  /** Delivers all reports now, because something must come after them. */
  flush(): void {
    clearImmediate(this.#next);
    this.#next = undefined;
    for (const report of this.#reports.splice(0)) this.#deliver(report);
  }

  #turn(): void {
    const report = this.#reports.shift();
    this.#next = this.#reports.length > 0 ? setImmediate(() => this.#turn()) : undefined;
    if (report) this.#deliver(report);
  }

  /** Removes a sequence that has ended and has no caller any more. */
  #deliver({ batch, sequences }: Report): void {
    for (const report of sequences) {
      const sequence = this.#sequences.get(report.id);
      sequence?.put({ batch, report });
      if (sequence?.left && sequence.finished) this.remove(sequence);
    }
  }
}

/**
 * One sequence on the worker's side: its state, and its steps until the caller reads them. The sequence's
 * `maxTokens` bounds the list: the engine reports no more tokens.
 */
export class RemoteSequence {
  readonly request: SequenceRequest;
  /** Pauses the sequence while its subscriber lags, in each engine that gets the sequence. */
  readonly backpressure: Backpressure | undefined;
  readonly #steps: Step[] = [];
  readonly #createdAt = performance.now();
  #failure: Error | undefined;
  #wake: (() => void) | undefined;
  /** The engine's note that the sequence has a slot. */
  #started: Extract<Note, { note: 'started' }> | undefined;
  /** Milliseconds that it waited for former engines: an engine counts from the arrival of the sequence. */
  #waitedMs = 0;
  /** The caller has cancelled it. */
  cancelled = false;
  /** The caller reads no more steps. */
  left = false;
  /** The engine has ended it: its slot is free, or was lost with the engine. */
  finished = false;
  /** Prompt and output so far. */
  tokens: number;

  constructor(request: SequenceRequest, backpressure?: Backpressure) {
    this.request = request;
    this.backpressure = backpressure;
    this.tokens = request.prompt.length;
  }

  /** True from the moment that it has a slot. */
  get started(): boolean {
    return this.#started !== undefined;
  }

  /** Adds a step that the engine reports. */
  put({ batch, report }: Step): void {
    this.tokens += report.tokens.length;
    this.finished ||= report.finish !== undefined;
    const adjusted = this.#waitedMs > 0 ? withWait(report, this.#waitedMs) : report;
    this.#started ??= adjusted.notes.find((note) => note.note === 'started');
    this.#push({ batch, report: adjusted });
  }

  /** Adds a step that says that there is no engine, and why. The sequence waits for the next one. */
  wait(lost: string): void {
    this.#push({ batch: 0, report: { id: this.request.id, notes: [], tokens: [] }, lost });
  }

  /** A new engine gets the sequence now. */
  moved(): void {
    this.#waitedMs = performance.now() - this.#createdAt;
  }

  /** Ends a cancelled sequence whose engine is gone. */
  end(): void {
    this.finished = true;
    this.#push({ batch: 0, report: this.#cancelled() });
  }

  /** Ends the sequence for the caller only. The slot stays busy until the engine confirms the cancel. */
  giveUp(): void {
    this.#push({ batch: 0, report: this.#cancelled(), unconfirmed: true });
  }

  fail(error: Error): void {
    this.finished = true;
    this.#failure = error;
    this.#wake?.();
  }

  /**
   * The next step.
   * @throws Error of `fail`, after the steps that arrived before it.
   */
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
