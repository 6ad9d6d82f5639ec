/**
 * Keeps an engine running: narrates the loss of an engine process, starts the next one, and gives up after
 * repeated losses.
 */
import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { EngineLostError, type Loss } from '../bridge/child.ts';
import { EngineClient } from '../bridge/client.ts';
import type { Silence } from '../bridge/sequence-inbox.ts';
import type { LostCounts } from '../bridge/submissions.ts';
import type { Config } from '../config/config.ts';
import { narrate } from '../narration/narrate.ts';
import { backoffDelay } from '../protocol/backoff.ts';
import type { EngineFacts, EngineOptions, LoadEvent } from '../protocol/loading.ts';
import { narrateGpuGraph } from './load-narration.ts';
import { type FailureKind, failureText, loadFailureKind, lossKind, lossText } from './reasons.ts';
import type { WorkerState } from './state.ts';

/** After this many losses within the window whose cause is not a request, the engine is not restarted. */
export const MAX_LOSSES = 3;
export const LOSS_WINDOW_MS = 10 * 60 * 1000;
/** Maximum lines of runtime output that are narrated per engine process. */
export const MAX_WARNINGS = 20;
/** A restart fails after this many times the duration of the first load, plus the step timeout. */
export const RESTART_FACTOR = 10;
/**
 * After this many starts in a row without resources for a process, about seven minutes, the engine counts as
 * lost.
 */
export const MAX_SHORTAGES = 20;
const SHORTAGE_DELAYS = { firstMs: 500, longestMs: 30_000 };

export interface SupervisorOptions {
  /** The environment of an engine process. */
  readonly environment: NodeJS.ProcessEnv;
  readonly config: Pick<Config, 'stepTimeout' | 'stallAfter' | 'onEngineLoss' | 'gpuGraph'>;
  /** Called when the engine cannot be restarted, with the kind of the last loss. */
  readonly giveUp: (kind: FailureKind, reason: string) => void;
}

/**
 * The options of the engines after the first one: the same device, number of slots and memory of the cache,
 * because the worker has published what they allow. A GPU decodes as in the first engine: a mode that shares
 * the memory otherwise would have shorter rows.
 * @param options those of the first engine
 * @param facts of the first engine
 */
export function nextOptions(options: EngineOptions, facts: EngineFacts): EngineOptions {
  const candidates = options.candidates.filter(({ device }) => device === facts.device);
  const { slots, context, cacheBytes: cacheMemory, gpuGraph } = facts;
  return { ...options, candidates, slots, context, cacheMemory, ...(gpuGraph && { gpuGraph: gpuGraph.mode }) };
}

/** Owns the engine process, from the first start to `close`. */
export class EngineSupervisor {
  readonly client: EngineClient;
  readonly #state: WorkerState;
  readonly #settings: SupervisorOptions;
  #options: EngineOptions | undefined;
  /** Receives the progress of the first load; restarts report none. */
  #onLoadEvent: ((event: LoadEvent) => void) | undefined;
  /**
   * Maximum milliseconds of a restart. The first load has no limit: the operator sees its progress and can
   * stop the worker.
   */
  #restartMs = 0;
  /** Times of the losses within the window, on the clock of performance.now(), oldest first. */
  #losses: number[] = [];
  /** Those of them that no request has caused. */
  #unexplained: number[] = [];
  #warnings = 0;
  #closed = false;
  /** Ends the wait for resources. */
  readonly #closing = new AbortController();

  /** @param first the engine process that was forked at the start of the worker; it is not started yet */
  constructor(first: ChildProcess, state: WorkerState, settings: SupervisorOptions) {
    this.#state = state;
    this.#settings = settings;
    const { environment, config } = settings;
    const { onEngineLoss } = config;
    const stallMs = config.stallAfter * 1000;
    this.client = new EngineClient(
      {
        environment,
        stepMs: this.#stepMs,
        stallMs,
        onEngineLoss,
        onSilence: (silence) => this.#silence(silence),
        onLost: (loss, lost) => void this.#restart(loss, lost),
        onLine: (line) => this.#warn(line),
        onEvicted: ({ rows, tokens }) => narrate('cache.evicted', { prefixes_evicted: rows, tokens_evicted: tokens }),
        onLoadEvent: (event) => this.#onLoadEvent?.(event),
      },
      first,
    );
  }

  /**
   * Starts the first engine. Later engines get the options of `nextOptions`.
   * @throws EngineRefusedError if the engine cannot open the model; EngineLostError if the process ends
   */
  async start(options: EngineOptions, onLoadEvent: (event: LoadEvent) => void): Promise<EngineFacts> {
    if (this.#closed) throw new EngineLostError('the worker stops');
    const began = performance.now();
    this.#onLoadEvent = onLoadEvent;
    const facts = await this.client.start(options);
    this.#onLoadEvent = undefined;
    this.#restartMs = Math.ceil(RESTART_FACTOR * (performance.now() - began) + this.#stepMs);
    this.#options = nextOptions(options, facts);
    return facts;
  }

  /**
   * Ends the engine process. No restart follows.
   * @param ms longest time, in milliseconds
   */
  close(ms?: number): Promise<void> {
    this.#closed = true;
    this.#closing.abort();
    return this.client.close(ms);
  }

  get #stepMs(): number {
    return this.#settings.config.stepTimeout * 1000;
  }

  #warn(line: string): void {
    this.#warnings += 1;
    if (this.#warnings <= MAX_WARNINGS) narrate('engine.warning', { reason: line });
  }

  /** Narrates a stall or its end. The requests narrate it too, each in its own context. */
  #silence({ state, ms }: Silence): void {
    this.#state.stalled = state === 'stalled';
    if (state === 'recovered') {
      narrate('engine.recovered', { silence_ms: ms });
      return;
    }
    const { busy, waiting } = this.client.occupancy;
    narrate('engine.stalled', {
      silence_ms: ms,
      timeout_ms: this.#stepMs,
      requests_running: busy,
      requests_waiting: waiting,
    });
  }

  async #restart(loss: Loss, lost: LostCounts): Promise<void> {
    const began = performance.now();
    this.#state.enter('engine_lost');
    for (let next: Loss | undefined = loss; next; ) {
      const waiting = this.client.occupancy.waiting;
      this.#narrateLoss(next, next === loss ? lost : { interrupted: 0, failed: 0, waiting, explained: 0 });
      if (this.#closed || !this.#options) return;
      if (this.#unexplained.length >= MAX_LOSSES) {
        this.#abandon(next);
        return;
      }
      this.#warnings = 0;
      next = await this.#startNext(this.#options);
    }
    if (this.#closed) return;
    narrate('engine.restarted', {
      duration_ms: performance.now() - began,
      restarts: this.#losses.length,
      ...(lost.interrupted > 0 && { requests_interrupted: lost.interrupted }),
    });
    this.#state.enter('ready');
  }

  /**
   * Starts the next engine. Waits and repeats while the system has no resources for a process: these starts
   * are not losses.
   * @returns as `#tryAgain`
   */
  async #startNext(options: EngineOptions): Promise<Loss | undefined> {
    for (let attempt = 1; ; attempt += 1) {
      const loss = await this.#tryAgain(options);
      if (!loss?.isShortage || attempt === MAX_SHORTAGES) return loss;
      const delay = backoffDelay(attempt, SHORTAGE_DELAYS);
      const { reason } = loss;
      narrate('engine.not_started', { reason, attempt, attempts: MAX_SHORTAGES, retry_after_ms: Math.ceil(delay) });
      await sleep(delay, undefined, { signal: this.#closing.signal }).catch(() => undefined);
      if (this.#closed) return undefined;
    }
  }

  /**
   * Returns the next loss; undefined if the engine is open or the worker stops. A new engine can refuse the
   * model, for example if memory is short.
   */
  async #tryAgain(options: EngineOptions): Promise<Loss | undefined> {
    try {
      const facts = await this.client.start(options, this.#restartMs);
      narrateGpuGraph(facts, this.#settings.config.gpuGraph);
    } catch (error) {
      if (this.#closed) return undefined;
      if (error instanceof EngineLostError && error.loss) return error.loss;
      const kind = loadFailureKind(error);
      if (kind === 'out_of_memory') return { reason: kind, stderrTail: '', isOutOfMemory: true };
      return { reason: failureText(error), stderrTail: '' };
    }
    return undefined;
  }

  /** Waiting requests fail with a general message: `reason` may name files and is for the operator. */
  #abandon(last: Loss): void {
    this.#closed = true;
    this.client.abandon('the engine could not be restarted');
    const times = `the engine was lost ${this.#unexplained.length} times in ten minutes`;
    const reason = last.isOutOfMemory ? `${lossText(last)}; ${times}` : `${times}, most recently by ${last.reason}`;
    this.#settings.giveUp(lossKind(last), reason);
  }

  #narrateLoss(loss: Loss, { interrupted, failed, waiting, explained }: LostCounts): void {
    const now = performance.now();
    const isRecent = (at: number): boolean => now - at < LOSS_WINDOW_MS;
    this.#losses = [...this.#losses, now].filter(isRecent);
    const unexplained = [...this.#unexplained, now];
    this.#unexplained = unexplained.slice(0, unexplained.length - explained).filter(isRecent);
    narrate('engine.lost', {
      error_kind: lossKind(loss),
      reason: lossText(loss),
      requests_running: interrupted + failed,
      requests_interrupted: interrupted,
      requests_waiting: waiting,
      caused_by: explained > 0 ? 'request' : 'unknown',
      exit_code: loss.exitCode,
      signal: loss.signal,
      ...(loss.stderrTail !== '' && { stderr_tail: loss.stderrTail }),
    });
  }
}
