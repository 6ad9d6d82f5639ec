/**
 * The worker's client of the engine process: submits sequences and returns their steps. Sequences survive the
 * loss of an engine: the next one continues those that had a slot, and starts the others. Owns the engine
 * process and its last wait estimate. Never narrates: the callback of a message runs outside of every
 * request's context.
 */
import type { ChildProcess } from 'node:child_process';
import type { VocabularyData } from '../grammar/matching/vocabulary.ts';
import type { EngineFacts, EngineOptions, LoadEvent } from '../protocol/loading.ts';
import type { FromEngine, SequenceRequest } from '../protocol/messages.ts';
import { CacheUse, type Evicted } from './cache-use.ts';
import { EngineChild, EngineLostError, forkEngine, type Loss } from './child.ts';
import type { Occupancy } from './occupancy.ts';
import { type Backpressure, RemoteSequence, type Silence, type Step } from './sequence-inbox.ts';
import { SlotEstimate } from './slot-estimate.ts';
import { StallThreshold } from './stall-threshold.ts';
import { type LostCounts, type OnEngineLoss, Submissions } from './submissions.ts';

/** A sequence to submit. The client chooses its id. */
export type Submission = Omit<SequenceRequest, 'id' | 'copyOf'> & {
  /**
   * Any object. Sequences with the same object must have the same prompt: the engine computes the prompt for
   * the first of them that is submitted, and copies its keys and values to the others where it can. They may
   * be submitted at the same time or one after another.
   */
  readonly group?: object;
};

export interface EngineClientOptions {
  /** The complete environment of the engine processes. */
  readonly environment: NodeJS.ProcessEnv;
  /** Milliseconds without a message after which an open engine counts as hung: longer than any step. */
  readonly stepMs: number;
  /** Milliseconds without a message after which an open engine counts as stalled. Absent: never. */
  readonly stallMs?: number;
  /** Default: `resume`. With `fail`, a sequence with a slot fails when its engine is lost. */
  readonly onEngineLoss?: OnEngineLoss;
  /** Called when the open engine is stalled, and at its first message after that. */
  readonly onSilence?: (silence: Silence) => void;
  /** Called when the open engine has ended by itself or was killed because it hung. */
  readonly onLost?: (loss: Loss, lost: LostCounts) => void;
  /** Receives the lines of the engine's standard output and error, where the runtime writes its warnings. */
  readonly onLine?: (line: string) => void;
  /** Receives the ids that an engine dropped from its KV cache, for lack of memory or of rows. */
  readonly onEvicted?: (evicted: Evicted) => void;
  /** Receives the progress of each load. */
  readonly onLoadEvent?: (event: LoadEvent) => void;
}

export class EngineClient {
  readonly #options: EngineClientOptions;
  readonly #submissions: Submissions;
  /** An engine process that was forked early, so that it started while this process loaded its own code. */
  #forked: ChildProcess | undefined;
  #child: EngineChild | undefined;
  /** True while the engine is open and accepts sequences. */
  #open = false;
  /** Why no other engine will start. */
  #abandoned: string | undefined;
  readonly #estimate = new SlotEstimate();
  readonly #cache: CacheUse;
  /** Learns from the steps of all engines, because they run the same model. */
  readonly #threshold: StallThreshold | undefined;
  /** The silence of the stalled engine; undefined while there is none. */
  #stall: Silence | undefined;
  /** Time of the last message of an engine, on the same clock. */
  #heardAt: number | undefined;
  #nextId = 0;
  /**
   * The id of the first sequence of each group. An engine that is started later does not know it, or gets
   * that sequence first: sequences are submitted to it in order.
   */
  readonly #firstIds = new WeakMap<object, number>();

  constructor(options: EngineClientOptions, first?: ChildProcess) {
    const { stallMs, stepMs } = options;
    this.#options = options;
    this.#cache = new CacheUse(options.onEvicted);
    this.#submissions = new Submissions(options.onEngineLoss ?? 'resume');
    this.#forked = first;
    this.#threshold = stallMs === undefined ? undefined : new StallThreshold(stallMs, stepMs);
  }

  /** Sets the texts of the ids. Each engine gets them once, before its first sequence with a grammar. */
  setVocabulary(data: VocabularyData): void {
    this.#submissions.setVocabulary(data);
  }

  /** Counts of the sequences that have a slot or wait for one. */
  get occupancy(): Occupancy {
    return this.#submissions.occupancy;
  }

  /** True while an engine has the model open, and accepts sequences. */
  get open(): boolean {
    return this.#open;
  }

  /** Id of the engine process; undefined while there is none. */
  get pid(): number | undefined {
    return this.#child ? this.#child.pid : this.#forked?.pid;
  }

  /** Expected milliseconds until a slot is free, from the last report; undefined without an estimate. */
  get slotFreeMs(): number | undefined {
    return this.#estimate.slotFreeMs;
  }

  /**
   * Expected milliseconds until a new request has a slot while all slots are busy; undefined without an
   * estimate.
   * @param ahead number of requests that wait for a slot before it
   */
  waitMs(ahead: number): number | undefined {
    return this.#estimate.waitMs(ahead);
  }

  /** The memory of the KV cache. */
  get cache(): Pick<CacheUse, 'usedBytes' | 'evictions'> {
    return this.#cache;
  }

  /** Milliseconds since the last message of any engine; undefined before the first message. */
  get heartbeatAgeMs(): number | undefined {
    return this.#heardAt === undefined ? undefined : performance.now() - this.#heardAt;
  }

  /**
   * Opens the model in an engine process, and submits the waiting sequences in order.
   * @param openMs longest time to open the model; absent = unlimited.
   * @throws EngineRefusedError with the reason; EngineLostError if the process ended or did not open the
   * model in time.
   */
  start(options: EngineOptions, openMs?: number): Promise<EngineFacts> {
    const { environment, stepMs, onLine } = this.#options;
    const ready = this.#forked?.connected === true ? this.#forked : undefined;
    this.#forked = undefined;
    const child: EngineChild = new EngineChild(ready ?? forkEngine(environment), {
      stepMs,
      ...(openMs !== undefined && { openMs }),
      onMessage: (message) => {
        if (child === this.#child) this.#receive(message);
      },
      ...(onLine && { onLine }),
      onEnded: (loss) => {
        if (child === this.#child) this.#ended(loss);
      },
      threshold: this.#threshold,
      onSilence: (silence) => this.#silence(silence),
    });
    this.#child = child;
    return child.open(options);
  }

  /**
   * Runs one sequence. Yields one step for each report, until a step has `finish`. Aborting `signal` cancels
   * the sequence: the last step then has the reason `cancelled`, and the slot is free, unless the step is
   * `unconfirmed`. If the engine is lost, the sequence waits for the next engine, which continues it. While
   * `backpressure` is paused, no step of the engine includes the sequence. For several answers to one prompt,
   * call `submit` once for each, with the same `group`: the prompt is then computed once.
   * @throws EngineLostError if no other engine will start, if the sequence has ended the engine alone, or,
   * with `onEngineLoss: fail`, if the engine is lost while the sequence has a slot.
   */
  async *submit(
    submission: Submission,
    signal: AbortSignal,
    backpressure?: Backpressure,
  ): AsyncGenerator<Step, void, void> {
    if (this.#abandoned !== undefined) throw new EngineLostError(this.#abandoned);
    const sequence = new RemoteSequence(this.#requestOf(submission), backpressure);
    let timeout: NodeJS.Timeout | undefined;
    const cancel = (): void => {
      timeout = this.#submissions.cancel(sequence);
    };
    signal.addEventListener('abort', cancel, { once: true });
    backpressure?.onChange((paused) => this.#submissions.pause(sequence, paused));
    try {
      this.#submissions.add(sequence);
      if (this.#stall) sequence.tell(this.#stall);
      if (signal.aborted) cancel();
      for (;;) {
        const step = await sequence.next();
        yield step;
        if (step.report.finish) return;
      }
    } finally {
      signal.removeEventListener('abort', cancel);
      clearTimeout(timeout);
      this.#submissions.leave(sequence);
    }
  }

  /**
   * Fails all sequences with the reason, because no other engine will start. A cancelled sequence ends as
   * cancelled: nobody will confirm it.
   */
  abandon(reason: string): void {
    this.#abandoned = reason;
    this.#submissions.abandon(reason);
  }

  /**
   * Lets the engine release everything and exit; kills it if it does not.
   * @param ms longest time, in milliseconds
   */
  async close(ms?: number): Promise<void> {
    this.#open = false;
    this.abandon('the worker stops');
    this.#forked?.kill('SIGKILL');
    await this.#child?.close(ms);
  }

  /** The request with a new id, and with the id of the first sequence of its group. */
  #requestOf({ group, ...request }: Submission): SequenceRequest {
    const id = this.#nextId++;
    if (!group) return { ...request, id };
    const copyOf = this.#firstIds.get(group);
    if (copyOf === undefined) this.#firstIds.set(group, id);
    return { ...request, id, ...(copyOf !== undefined && { copyOf }) };
  }

  #receive(message: FromEngine): void {
    this.#heardAt = performance.now();
    switch (message.kind) {
      case 'opened':
        this.#open = true;
        if (this.#child) this.#submissions.opened(this.#child);
        return;
      case 'report':
        this.#estimate.note(message);
        this.#cache.note(message.cache);
        if (message.stepMs !== undefined) this.#threshold?.noteStep(message.stepMs);
        this.#submissions.put(message);
        return;
      case 'loading':
      case 'fallback':
      case 'memory':
      case 'unreserved':
      case 'conversion':
      case 'weights':
      case 'progress':
        this.#options.onLoadEvent?.(message);
        return;
      case 'refused':
      case 'probed':
      case 'alive':
      case 'received':
        return; // handled by EngineChild
      default:
        message satisfies never;
    }
  }

  /** Reports a stall or its end to every sequence that has not ended. */
  #silence(silence: Silence): void {
    this.#stall = silence.state === 'stalled' ? silence : undefined;
    this.#submissions.tell(silence);
    this.#options.onSilence?.(silence);
  }

  #ended(loss: Loss): void {
    this.#estimate.forget();
    this.#cache.forget();
    this.#stall = undefined;
    if (!this.#open) return; // the engine was never open: `start` fails with the loss
    this.#open = false;
    const lost = this.#submissions.lost(loss);
    this.#options.onLost?.(loss, lost);
  }
}
