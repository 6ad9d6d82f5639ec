/**
 * Watches the speed of one generation, and reports changes with their measured causes. Called for every step
 * of every output: some additions, and no memory that grows.
 */
import type { Backpressure, Step } from '../../../bridge/sequence-inbox.ts';
import { runIn } from '../../../narration/narrate.ts';
import type { Job } from '../../job.ts';
import type { Choice } from '../choice.ts';
import { type BatchChange, BatchWatch } from './batch-watch.ts';
import { type OwnStep, OwnSteps } from './own-step.ts';
import { type SampleMachine, type SlowPhase, SlowWatch } from './slow-watch.ts';

/** Receives the changes, inside of the context of the request. */
export interface SpeedListener {
  batchChanged(change: BatchChange): void;
  slowed(phase: SlowPhase): void;
}

export class SpeedWatch {
  readonly #job: Pick<Job, 'context' | 'log' | 'stopped'>;
  readonly #listener: SpeedListener;
  readonly #steps: OwnSteps;
  readonly #batch = new BatchWatch();
  readonly #slow: SlowWatch;
  /** The log sheds narrations while all readers lag: an event waits until one of them catches up. */
  readonly #canTell = (): boolean => !this.#job.log.lagging && !this.#job.log.over && !this.#job.stopped;

  /**
   * @param sampleMachine absent: the machine is never named as the cause
   * @param now milliseconds; replaced by tests
   */
  constructor(
    job: Pick<Job, 'context' | 'log' | 'stopped'>,
    listener: SpeedListener,
    sampleMachine: SampleMachine = () => undefined,
    now = () => performance.now(),
  ) {
    this.#job = job;
    this.#listener = listener;
    this.#slow = new SlowWatch(sampleMachine);
    this.#steps = new OwnSteps(now, (step) => this.#onStep(step));
  }

  /** Notices the pauses of the job. */
  follow(backpressure: Backpressure): void {
    // In a microtask: an event must not reach the subscribers while they decide about the pause.
    backpressure.onChange((paused) => queueMicrotask(() => this.#onPause(paused)));
  }

  /** Adds a step of an output, before its tokens are added to the output. */
  onStep(choice: Pick<Choice, 'tokensOut'>, { load, report, silence, resumed }: Step): void {
    // A silence of the engine and an interruption have events of their own.
    if (silence?.state === 'recovered' || resumed) this.#gap();
    if (!load) return;
    const { tokens, notes, finish } = report;
    const decodes = choice.tokensOut > 0 && !resumed && (tokens.length > 0 || finish !== undefined);
    const prefills = choice.tokensOut === 0 && (tokens.length > 0 || notes.some(({ note }) => note === 'prefill'));
    this.#steps.add(load, { decodes, tokens: tokens.length, prefills });
  }

  #gap(): void {
    this.#steps.flush();
    this.#steps.gap();
    this.#slow.gap();
  }

  #onPause(paused: boolean): void {
    runIn(this.#job.context, () => {
      this.#steps.pause(paused);
      if (paused) this.#slow.paused();
    });
  }

  #onStep(step: OwnStep): void {
    const change = this.#batch.add(step, this.#canTell);
    if (change) this.#listener.batchChanged(change);
    const phase = this.#slow.add(step, this.#canTell);
    if (phase) this.#listener.slowed(phase);
  }
}
