/**
 * One generation from the start to its terminal event: turns the reports of the engine into events of the
 * job's log. A generation has one output or several. Knows neither HTTP nor a wire format.
 */
import { EngineLostError } from '../../bridge/child.ts';
import type { EngineClient } from '../../bridge/client.ts';
import type { Backpressure, Step } from '../../bridge/sequence-inbox.ts';
import type { ResumeFacts } from '../../contract/resume/fields.ts';
import type { Finish, TokenReport } from '../../protocol/messages.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { Job } from '../job.ts';
import { tokensIn } from '../prompt.ts';
import { narrateStop } from '../stop-outcome.ts';
import { type Choice, choicesOf, type PartPiece } from './choice.ts';
import { Ending } from './ending.ts';
import { engineLost, FAILURES, type Failure } from './failures.ts';
import { GenerationNarrator } from './generation-narrator.ts';
import type { Opened } from './resume/resumed-output.ts';
import { SharedBackpressure } from './shared-backpressure.ts';
import { Slots } from './slots.ts';
import type { SampleMachine } from './speed/slow-watch.ts';
import { SpeedWatch } from './speed/speed-watch.ts';
import { SpeedMetrics } from './speed-metrics.ts';
import { TokenTiming } from './timing.ts';
import { TokenEvents } from './token-events.ts';

/** The parts of the loaded model that a generation uses. */
export interface GenerationModel {
  readonly facts: { readonly deviceBytes: number; readonly slots: number };
}

/** The parts of the worker that a generation uses. */
export interface GenerationParts {
  readonly engine: Pick<EngineClient, 'submit'>;
  readonly metrics: Metrics;
  /** Tokens between two progress narrations. */
  readonly progressEvery: number;
  /** Samples the load of the machine. Absent: the machine is never the cause of a slow generation. */
  readonly sampleMachine?: SampleMachine;
}

export class Generation {
  readonly #job: Job;
  readonly #prepared: Opened;
  readonly #slots: number;
  readonly #parts: GenerationParts;
  readonly #choices: readonly Choice[];
  readonly #timing: TokenTiming;
  readonly #narrator: GenerationNarrator;
  readonly #outputSlots: Slots;
  readonly #speed: SpeedWatch;
  readonly #speedMetrics: SpeedMetrics;
  readonly #tokenEvents: TokenEvents;
  /** Sequences computed in the last step. */
  #batch = 1;
  /** Why the job has failed; the first failure counts. */
  #failure: Failure | undefined;
  /** True if the engine has not confirmed in time that a cancelled sequence has ended. */
  #unconfirmed = false;

  constructor(job: Job, prepared: Opened, model: GenerationModel, parts: GenerationParts) {
    this.#job = job;
    this.#prepared = prepared;
    this.#slots = model.facts.slots;
    this.#parts = parts;
    const { resumed, tellsIds = false } = prepared;
    this.#choices = resumed ? [resumed.choice] : choicesOf(prepared);
    this.#timing = new TokenTiming(job.acceptedAt, resumed?.choice.tokensOut);
    this.#tokenEvents = new TokenEvents(job.log, tellsIds, resumed?.index ?? 0);
    job.progress.tokensIn = tokensIn(prepared);
    job.progress.tokensOut = this.#timing.tokens;
    this.#narrator = new GenerationNarrator(prepared, this.#timing, job.log);
    this.#outputSlots = new Slots({ job, choices: this.#choices, narrator: this.#narrator, metrics: parts.metrics });
    this.#speed = new SpeedWatch(job, this.#narrator, parts.sampleMachine);
    this.#speedMetrics = new SpeedMetrics(job.log, this.#timing, model.facts.deviceBytes);
  }

  /**
   * Submits the sequences, at most as many at a time as the engine has slots, and handles the engine's
   * reports. Always emits a terminal event; never throws.
   */
  async run(): Promise<void> {
    try {
      await this.#begin();
    } catch (error) {
      // The encoder could not write the beginning of the answer.
      this.#onError(error);
    }
    try {
      this.#end();
    } catch (error) {
      // The encoder could not write the answer, for example because it is longer than a string can be.
      this.#onError(error);
      this.#end();
    }
  }

  async #begin(): Promise<void> {
    const { prompts, resumed } = this.#prepared;
    this.#narrator.begin(resumed?.choice.tokensOut);
    const { log, signal, subscribers } = this.#job;
    const backpressure = new SharedBackpressure(subscribers);
    this.#speed.follow(backpressure.join());
    for (const [prompt, { sequence }] of prompts.entries()) log.emit({ type: 'prompt', prompt, ids: sequence.prompt });
    if (resumed) this.#emitPieces(resumed.choice, resumed.missing);
    const [only] = this.#choices;
    if (only && this.#choices.length === 1) await this.#runChoice(only, signal, backpressure.join());
    else await this.#runAll(backpressure);
  }

  async #runAll(backpressure: SharedBackpressure): Promise<void> {
    const { signal } = this.#job;
    const abort = (): void => this.#abort();
    signal.addEventListener('abort', abort, { once: true });
    const waiting = this.#choices.values();
    const runNext = async (): Promise<void> => {
      for (const choice of waiting) {
        if (this.#job.stopped || this.#failure) return;
        const own = backpressure.join();
        await this.#runChoice(choice, choice.signal, own);
        own.leave();
      }
    };
    const together = Math.min(this.#slots, this.#choices.length);
    await Promise.all(Array.from({ length: together }, runNext));
    signal.removeEventListener('abort', abort);
  }

  #abort(): void {
    for (const choice of this.#choices) choice.abort();
  }

  async #runChoice(choice: Choice, signal: AbortSignal, backpressure: Backpressure): Promise<void> {
    choice.trace = this.#job.context.trace?.output(choice.index);
    try {
      const { submission } = choice;
      for await (const step of this.#parts.engine.submit(submission, signal, backpressure)) this.#onStep(choice, step);
    } catch (error) {
      this.#onError(error);
    }
    this.#outputSlots.ended(choice, this.#failure?.code.toLowerCase());
  }

  #onStep(choice: Choice, step: Step): void {
    const { batch, report, silence, unconfirmed } = step;
    this.#batch = batch;
    this.#speed.onStep(choice, step);
    // A change of the engine, or of the queue, concerns all sequences: it is narrated for one of them.
    const narrates = choice === this.#choices.find(({ finish }) => !finish);
    if (silence && narrates) this.#narrator.silence(silence);
    this.#outputSlots.onStep(choice, step, narrates);
    const { promptScores } = report;
    if (promptScores) this.#job.log.emit({ type: 'scores', prompt: choice.promptIndex, ...promptScores });
    for (const [index, token] of report.tokens.entries()) this.#onToken(choice, token, index);
    if (report.finish) this.#onFinish(choice, report.finish, unconfirmed);
    else if (report.tokens.length > 0) this.#speedMetrics.emit(batch);
  }

  /**
   * Ignores tokens that the engine sends after the end of the output: they are not part of the output.
   * @param index of the token in its step
   */
  #onToken(choice: Choice, token: TokenReport, index: number): void {
    if (choice.full || this.#prepared.scoresOnly) return;
    const gapMs = this.#timing.tick(choice.index);
    this.#job.progress.tokensOut = this.#timing.tokens;
    this.#emitPieces(choice, choice.push(token));
    // The accepted tokens of a draft come together: they have the time of their step, and count once.
    this.#parts.metrics.token(this.#batch, index === 0 ? gapMs : undefined);
    if (choice.full) this.#stop(choice);
    else if (this.#timing.tokens % this.#parts.progressEvery === 0) this.#narrator.progress(this.#batch);
  }

  /** Cancels the sequence of an output that takes no more tokens. */
  #stop(choice: Choice): void {
    if (this.#job.stopped) return;
    choice.stopped = true;
    if (this.#choices.length === 1) this.#job.stop('stop_sequence');
    else choice.abort();
  }

  #emitPieces(choice: Choice, pieces: readonly PartPiece[]): void {
    this.#tokenEvents.emit(pieces, choice.index, this.#timing.tokens);
  }

  #onFinish(choice: Choice, finish: Finish, unconfirmed = false): void {
    if ('message' in finish) {
      this.#narrator.fault(finish.reason, finish.message);
      this.#fail(FAILURES[finish.reason]);
    } else if (choice.stopped || finish.reason !== 'cancelled') this.#complete(choice, finish);
    else this.#unconfirmed ||= unconfirmed;
  }

  #complete(choice: Choice, finish: Finish): void {
    choice.finish = finish;
    if (!this.#prepared.scoresOnly) this.#emitPieces(choice, choice.flush());
    if (choice.unparsedCalls > 0) this.#narrator.unparsed(choice.unparsedCalls);
    if (finish.incomplete && choice.endReason !== 'eos') this.#narrator.incomplete(choice.tokensOut, choice.endReason);
    const scored = choice.prompt.sequence.logprobs !== undefined;
    this.#job.log.emit({
      type: 'choice_end',
      choice: choice.index,
      reason: choice.endReason,
      ...(choice.matched !== undefined && { matched: choice.matched }),
      toolCalls: choice.toolCalls,
      tokensOut: choice.tokensOut,
      reasoningTokens: choice.reasoningTokens,
      ...(scored && choice.unreported.length > 0 && { unreported: choice.unreported }),
    });
  }

  /** The engine was lost, or the worker has a defect. */
  #onError(error: unknown): void {
    if (error instanceof EngineLostError) {
      if (!this.#failure) this.#narrator.engineLost(error);
      this.#fail(engineLost(error));
      return;
    }
    this.#narrator.fault('generation', String(error instanceof Error ? error.stack : error));
    this.#fail({ code: 'INFERENCE_FAILED', reason: 'the worker has a fault' });
  }

  /** The whole job fails. Its other outputs stop. */
  #fail(failure: Failure): void {
    this.#failure ??= failure;
    this.#abort();
  }

  /** Emits the terminal event. */
  #end(): void {
    const ending = new Ending(this.#job, this.#choices, this.#timing, this.#parts.metrics);
    if (this.#failure) {
      const { code, reason, message, retry } = this.#failure;
      this.#narrator.failed(code.toLowerCase(), reason);
      ending.error({ code, message, retry, outcome: 'error', resume: this.#resume });
    } else if (this.#choices.every(({ finish }) => finish)) {
      this.#speedMetrics.emit(this.#batch);
      this.#narrator.complete(ending.reason, ending.totals, this.#outputSlots.interruptedMs);
      ending.success();
    } else {
      const stop = narrateStop(this.#job, this.#timing.tokens, this.#unconfirmed);
      ending.error({ ...stop, resume: this.#resume });
    }
  }

  /** Data with which another worker continues the output; undefined for several outputs. */
  get #resume(): (() => ResumeFacts) | undefined {
    const { fingerprint } = this.#prepared;
    const [only] = this.#choices;
    if (!fingerprint || !only) return undefined;
    return () => ({ token_ids: [...only.ids], index: this.#tokenEvents.next, fingerprint: fingerprint() });
  }
}
