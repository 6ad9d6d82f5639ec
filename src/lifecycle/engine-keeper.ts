/**
 * Keeps an engine running: notices that it was lost, narrates it, starts the next one, and gives up when they keep dying.
 */
import type { ChildProcess } from 'node:child_process';
import { EngineClient, EngineLostError, type Loss } from '../bridge/client.ts';
import type { EngineFacts, EngineOptions, Opening } from '../bridge/protocol.ts';
import { narrate } from '../narration/narrate.ts';
import type { WorkerState } from './state.ts';

/** This many losses within the window are a pattern, not an accident. */
const MOST_LOSSES = 3;
const LOSS_WINDOW_MS = 10 * 60 * 1000;
/** Lines of the runtime that are narrated per engine; more is a flood. */
const MOST_WARNINGS = 20;

export class EngineKeeper {
  readonly client: EngineClient;
  readonly #state: WorkerState;
  readonly #giveUp: (reason: string) => void;
  #options: EngineOptions | undefined;
  /** Times of the losses within the window, oldest first. */
  #losses: number[] = [];
  #warnings = 0;
  #closed = false;

  /** `first` is the engine process that was forked ahead; `giveUp` is called when the engine cannot be brought back. */
  constructor(
    first: ChildProcess,
    environment: NodeJS.ProcessEnv,
    state: WorkerState,
    giveUp: (reason: string) => void,
  ) {
    this.#state = state;
    this.#giveUp = giveUp;
    this.client = new EngineClient(
      environment,
      { onLost: (loss, running) => void this.#restart(loss, running), onLine: (line) => this.#warn(line) },
      first,
    );
  }

  /**
   * Starts the first engine. What it found out (the device that opened, `--slots auto`) holds for those after it: the worker has told
   * everybody.
   * @throws EngineRefusedError, EngineLostError
   */
  async start(options: EngineOptions, onOpening: (message: Opening) => void): Promise<EngineFacts> {
    if (this.#closed) throw new EngineLostError('the worker stops');
    const facts = await this.client.start(options, onOpening);
    const candidates = options.candidates.filter(({ device }) => device === facts.device);
    this.#options = { ...options, candidates, slots: facts.slots };
    return facts;
  }

  close(): Promise<void> {
    this.#closed = true;
    return this.client.close();
  }

  #warn(line: string): void {
    this.#warnings += 1;
    if (this.#warnings <= MOST_WARNINGS) narrate('engine.warning', { reason: line });
  }

  async #restart(loss: Loss, running: number): Promise<void> {
    const began = performance.now();
    this.#state.enter('engine_lost');
    for (let next: Loss | undefined = loss; next; ) {
      this.#tellLoss(next, next === loss ? running : 0);
      if (this.#closed || !this.#options) return;
      if (this.#losses.length >= MOST_LOSSES) {
        this.#giveUp(`the engine was lost ${this.#losses.length} times in ten minutes`);
        return;
      }
      this.#warnings = 0;
      next = await this.#tryAgain(this.#options);
    }
    if (this.#closed) return;
    narrate('engine.restarted', { duration_ms: performance.now() - began, restarts: this.#losses.length });
    this.#state.enter('ready');
  }

  /** Undefined when the engine is back (or the worker gave up), else how it was lost again. */
  async #tryAgain(options: EngineOptions): Promise<Loss | undefined> {
    try {
      await this.client.start(options, () => undefined);
    } catch (error) {
      if (this.#closed) return undefined;
      if (error instanceof EngineLostError) return { reason: error.message, stderrTail: '' };
      this.#closed = true;
      this.#giveUp(`the engine could not be started again: ${error instanceof Error ? error.message : String(error)}`);
    }
    return undefined;
  }

  #tellLoss(loss: Loss, running: number): void {
    const now = performance.now();
    this.#losses = [...this.#losses.filter((at) => now - at < LOSS_WINDOW_MS), now];
    narrate('engine.lost', {
      error_kind: 'engine_lost',
      reason: loss.reason,
      requests_running: running,
      exit_code: loss.exitCode,
      signal: loss.signal,
      ...(loss.stderrTail !== '' && { stderr_tail: loss.stderrTail.slice(-256) }),
    });
  }
}
