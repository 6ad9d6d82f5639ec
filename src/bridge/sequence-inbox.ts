/**
 * Delivers the engine's reports to the requests. The inbox of the client delivers one report per turn of the
 * event loop; each sequence has a list of steps, which the loop of its request reads. Sends nothing to the
 * engine.
 */
import type { FromEngine, PrefillWork, SequenceReport, SequenceRequest } from '../protocol/messages.ts';
import { Lives, type Resumed } from './lives.ts';
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
  /**
   * Why the engine was lost while the sequence had a slot. The next engine continues the sequence: a later
   * step has `resumed`.
   */
  readonly interrupted?: string;
  /** The sequence waits, without a slot, until the engine has tested the suspects of two losses. */
  readonly held?: true;
  /** The sequence goes on after an interruption, or after its engine took its memory (note `preempted`). */
  readonly resumed?: Resumed | undefined;
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
  readonly #onReport: (sequence: RemoteSequence) => void;

  /** @param onReport called after each report of a sequence was delivered */
  constructor(onReport: (sequence: RemoteSequence) => void = () => undefined) {
    this.#onReport = onReport;
  }

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
      if (!sequence) continue;
      sequence.put({ batch, report, load });
      if (sequence.callerLeft && sequence.finished) this.remove(sequence);
      this.#onReport(sequence);
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
  readonly #lives: Lives;
  readonly #steps: Step[] = [];
  #failure: Error | undefined;
  #wake: (() => void) | undefined;
  #changed: () => void = () => undefined;
  #callerLeft = false;
  /** True from the cancel of a life that the sequence survives, until the engine confirms it. */
  #isReleased = false;
  /** True if the caller has been told that the sequence waits for an engine, or for suspects. */
  #mustWait = false;
  #isHeld = false;
  /** The engine has the sequence: with a slot, in its queue, or until it confirms a cancel. */
  inEngine = false;
  /** The caller has cancelled the sequence. */
  cancelled = false;
  /** The sequence has ended: its slot is free, or was lost with the engine. */
  finished = false;
  /** Number of prompt and output tokens so far. */
  tokens: number;

  constructor(request: SequenceRequest, backpressure?: Backpressure) {
    this.request = request;
    this.backpressure = backpressure;
    this.#lives = new Lives(request);
    this.tokens = request.prompt.length;
  }

  /** True while the sequence has a slot. */
  get hasSlot(): boolean {
    return this.#lives.hasSlot;
  }

  /** True after the sequence has had a slot. */
  get began(): boolean {
    return this.#lives.began;
  }

  /** Number of ids of the output. */
  get generated(): number {
    return this.#lives.generated;
  }

  /** True while the subscriber of the sequence lags. */
  get paused(): boolean {
    return this.backpressure?.paused === true;
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
   * Calls `changed` now, and whenever the sequence gets or loses its slot, ends, is left by its caller or has
   * more tokens. Replaces the previous listener.
   */
  onChange(changed: () => void): void {
    this.#changed = changed;
    changed();
  }

  /** Adds a step that the engine reports. */
  put({ batch, report, load }: Step): void {
    this.tokens += report.tokens.length;
    if (report.finish) this.inEngine = false;
    const isRelease = this.#isReleased && report.finish?.reason === 'cancelled' && !this.cancelled && !this.callerLeft;
    const { finish: _, ...rest } = report;
    const told = this.#lives.add(isRelease ? rest : report);
    if (isRelease) this.#lives.interrupt();
    else this.finished ||= report.finish !== undefined;
    this.#changed();
    this.#push({ batch, load, ...told });
  }

  /** Adds a step with the reason why there is no engine. The sequence waits for the next engine. */
  wait(lost: string): void {
    this.#mustWait = true;
    this.#isHeld = false;
    this.#push({ batch: 0, report: this.#nothing(), lost });
  }

  /** Called when the engine was lost while the sequence had a slot. The next engine continues it. */
  interrupt(interrupted: string): void {
    this.#lives.interrupt();
    this.#changed();
    this.#mustWait = true;
    this.#isHeld = false;
    this.#push({ batch: 0, report: this.#nothing(), interrupted });
  }

  /** Tells the caller once that the sequence waits for the test of suspects. */
  hold(): void {
    if (this.#isHeld) return;
    this.#isHeld = true;
    this.#mustWait = true;
    this.#push({ batch: 0, report: this.#nothing(), held: true });
  }

  /** Adds a step with a change of the engine's silence. */
  tell(silence: Silence): void {
    this.#push({ batch: 0, report: this.#nothing(), silence });
  }

  /** Called when the sequence is submitted. Returns the request with the ids so far. */
  submitted(): SequenceRequest {
    if (this.#mustWait) this.#lives.waited();
    this.inEngine = true;
    this.#isReleased = false;
    this.#isHeld = false;
    return this.#lives.next;
  }

  /** Called when the client cancels the sequence in the engine, and will submit the rest of it later. */
  release(): void {
    this.#isReleased = true;
  }

  /** True while the engine has the sequence, after the message that cancels it. */
  get isLeaving(): boolean {
    return this.inEngine && (this.#isReleased || this.cancelled || this.callerLeft);
  }

  /** Ends a cancelled sequence that no engine has. */
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
    return { ...this.#nothing(), finish: this.#lives.cancelled() };
  }
}
