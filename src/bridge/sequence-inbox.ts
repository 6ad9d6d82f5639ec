/**
 * Delivers the engine's reports to the requests. The inbox of the client delivers one report per turn of the
 * event loop; each sequence has a list of steps, which the loop of its request reads. Sends nothing to the
 * engine.
 */
import type { Finish, FromEngine, Note, PrefillWork, SequenceReport, SequenceRequest } from '../protocol/messages.ts';
import { type Occupancy, OccupancyCount } from './occupancy.ts';

/** The engine has become silent for too long, or has sent its first message after that. */
export interface Silence {
  readonly state: 'stalled' | 'recovered';
  /** Milliseconds since the last message before this moment. */
  readonly ms: number;
}

/** The work of one step of the engine: the same object for all its sequences. */
export interface StepLoad {
  /** Sequences computed in the step, by decoding or prefill. */
  readonly batch: number;
  /** Milliseconds of the step. */
  readonly stepMs: number;
  /** Absent in a step that computed no prompt. */
  readonly prefill?: PrefillWork | undefined;
}

/** One step of a sequence; `batch` = number of sequences computed in that step. */
export interface Step {
  readonly batch: number;
  readonly report: SequenceReport;
  /** Absent in a report before a run, and in a step that the worker adds. */
  readonly load?: StepLoad | undefined;
  /**
   * Why the engine was lost while the sequence waited for a slot. The sequence now waits for the next engine.
   */
  readonly lost?: string;
  /** A change of the engine's silence. The sequence itself has not changed. */
  readonly silence?: Silence;
  /** The engine has not confirmed the cancellation in time: the slot of the sequence is still busy. */
  readonly unconfirmed?: true;
}

/** Pauses a sequence while its subscriber lags. */
export interface Backpressure {
  readonly paused: boolean;
  /** Calls `changed` at every later change. Replaces the previous listener. */
  onChange(changed: (paused: boolean) => void): void;
}

type Report = Extract<FromEngine, { kind: 'report' }>;

/**
 * The sequences of a client, and the undelivered reports. A busy worker can read dozens of reports from the
 * pipe at once; handling them together would delay `/health` by tens of milliseconds.
 */
export class SequenceInbox {
  readonly #sequences = new Map<number, RemoteSequence>();
  readonly #counts = new OccupancyCount();
  /** Undelivered reports, in order of arrival. */
  readonly #reports: Report[] = [];
  #next: NodeJS.Immediate | undefined;

  /** In the order of `add`. A sequence may be removed during the iteration. */
  get sequences(): Iterable<RemoteSequence> {
    return this.#sequences.values();
  }

  /** Counts of the sequences and their tokens. */
  get occupancy(): Occupancy {
    return this.#counts.sum;
  }

  add(sequence: RemoteSequence): void {
    this.#sequences.set(sequence.request.id, sequence);
    sequence.onChange(() => this.#counts.update(sequence));
  }

  remove(sequence: RemoteSequence): void {
    this.#sequences.delete(sequence.request.id);
    sequence.onChange(() => undefined);
    this.#counts.remove(sequence);
  }

  /**
   * Delivers a report at the end of this turn of the event loop. Earlier reports are delivered first, one per
   * turn.
   */
  put(report: Report): void {
    this.#reports.push(report);
    this.#next ??= setImmediate(() => this.#turn());
  }

  /** Delivers all reports at once. For a caller whose next action must come after them. */
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

  /** Delivers a report to its sequences. Removes a finished sequence whose caller has left. */
  #deliver({ batch, stepMs, prefill, sequences }: Report): void {
    const load: StepLoad | undefined = stepMs === undefined ? undefined : { batch, stepMs, prefill };
    for (const report of sequences) {
      const sequence = this.#sequences.get(report.id);
      sequence?.put({ batch, report, load });
      if (sequence?.callerLeft && sequence.finished) this.remove(sequence);
    }
  }
}

/**
 * The worker's view of one sequence: its state, and the steps that its caller has not read yet. `maxTokens`
 * bounds the list, because the engine reports no more tokens.
 */
export class RemoteSequence {
  readonly request: SequenceRequest;
  /** Pauses the sequence while its subscriber lags, in every engine to which the sequence is submitted. */
  readonly backpressure: Backpressure | undefined;
  readonly #steps: Step[] = [];
  readonly #createdAt = performance.now();
  #failure: Error | undefined;
  #wake: (() => void) | undefined;
  #changed: () => void = () => undefined;
  /** The engine's note that the sequence has a slot. */
  #started: Extract<Note, { note: 'started' }> | undefined;
  /**
   * Milliseconds before the sequence was submitted to the current engine, which counts `queueMs` from that
   * moment.
   */
  #waitedMs = 0;
  #callerLeft = false;
  /** The caller has cancelled the sequence. */
  cancelled = false;
  /** The sequence has ended: its slot is free, or was lost with the engine. */
  finished = false;
  /** Number of prompt and output tokens so far. */
  tokens: number;

  constructor(request: SequenceRequest, backpressure?: Backpressure) {
    this.request = request;
    this.backpressure = backpressure;
    this.tokens = request.prompt.length;
  }

  /** True after the sequence has got a slot. */
  get started(): boolean {
    return this.#started !== undefined;
  }

  /** True if the caller reads no more steps. */
  get callerLeft(): boolean {
    return this.#callerLeft;
  }

  /** Called when the caller reads no more steps. */
  leave(): void {
    this.#callerLeft = true;
    this.#changed();
  }

  /**
   * Calls `changed` now, and whenever the sequence starts, ends, is left by its caller or has more tokens.
   * Replaces the previous listener.
   */
  onChange(changed: () => void): void {
    this.#changed = changed;
    changed();
  }

  /** Adds a step that the engine reports. */
  put({ batch, report, load }: Step): void {
    this.tokens += report.tokens.length;
    this.finished ||= report.finish !== undefined;
    const adjusted = this.#waitedMs > 0 ? withWait(report, this.#waitedMs) : report;
    this.#started ??= adjusted.notes.find((note) => note.note === 'started');
    this.#changed();
    this.#push({ batch, report: adjusted, load });
  }

  /** Adds a step with the reason why there is no engine. The sequence waits for the next engine. */
  wait(lost: string): void {
    this.#push({ batch: 0, report: this.#nothing(), lost });
  }

  /** Adds a step with a change of the engine's silence. */
  tell(silence: Silence): void {
    this.#push({ batch: 0, report: this.#nothing(), silence });
  }

  /** Called when the sequence is submitted to a new engine. */
  resubmitted(): void {
    this.#waitedMs = performance.now() - this.#createdAt;
  }

  /** Ends a cancelled sequence when there is no engine. */
  end(): void {
    this.finished = true;
    this.#changed();
    this.#push({ batch: 0, report: this.#cancelled() });
  }

  /** Ends the sequence for the caller only. The slot stays busy until the engine confirms the cancel. */
  giveUp(): void {
    this.#push({ batch: 0, report: this.#cancelled(), unconfirmed: true });
  }

  fail(error: Error): void {
    this.finished = true;
    this.#failure = error;
    this.#changed();
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
    if (this.callerLeft) return;
    this.#steps.push(step);
    this.#wake?.();
  }

  #nothing(): SequenceReport {
    return { id: this.request.id, notes: [], tokens: [] };
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

/** The report with `ms` milliseconds added to the time in the queue. */
function withWait(report: SequenceReport, ms: number): SequenceReport {
  const { notes, finish } = report;
  return {
    ...report,
    notes: notes.map((note) => (note.note === 'started' ? { ...note, queueMs: note.queueMs + ms } : note)),
    ...(finish && { finish: { ...finish, timings: { ...finish.timings, queueMs: finish.timings.queueMs + ms } } }),
  };
}
