/**
 * The metrics of the worker in the Prometheus format. A scrape reads cached state and figures of this
 * process, and never calls the engine. No label contains a job id or a correlation id.
 */
import {
  addCounts,
  type Completion,
  type Counts,
  type GrammarOutcome,
  type HttpRefusal,
  type Outcome,
} from './counts.ts';
import { addGauges, type Gauges } from './gauges.ts';
import { LoopLag } from './loop-lag.ts';
import { MetricList } from './metric-list.ts';
import { ProcessFigures } from './process-figures.ts';
import { ProcessMetrics } from './process-metrics.ts';
import type { Metric } from './series.ts';
import { type Alias, vllmAliases } from './vllm/aliases.ts';

/** One finished request of any outcome. Times in milliseconds. */
export interface Account {
  readonly outcome: Outcome;
  /** Why the first output ended; present with the outcome `success`. */
  readonly stopReason?: Completion;
  readonly tokensIn: number;
  readonly tokensOut: number;
  /** Tokens of prompts and continued outputs that were looked up in the cache; 0 if no output got a slot. */
  readonly tokensLookedUp?: number;
  /** Tokens of these that were reused. */
  readonly tokensCached?: number;
  readonly tokensDrafted?: number;
  readonly tokensAccepted?: number;
  /** Tokens for which a grammar left no choice. */
  readonly tokensForced?: number;
  readonly durationMs: number;
  /** Absent if the first output got no slot. */
  readonly queueMs?: number;
  readonly timeToFirstTokenMs?: number;
  /** From the slot to the first token, on the engine's clock; absent if the first output is not complete. */
  readonly prefillMs?: number;
  /** From the first token to the last, because the time per output token excludes the first one. */
  readonly decodeMs?: number;
}

/** The media type of the format. */
const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export class Metrics {
  readonly #list = new MetricList();
  readonly #counts: Counts;
  readonly #aliases: readonly Alias[];
  readonly #lag = new LoopLag();
  readonly #readMemory: Gauges['memoryBytes'];
  /** The figure of the scrape that is answered. */
  #memoryBytes: number | undefined;
  readonly #ofProcess: ProcessMetrics;

  /**
   * @param figures the figures of this process
   * @param model the name of the model, for the aliases with vLLM's names; absent: without aliases
   */
  constructor(gauges: Gauges, figures: ProcessFigures = new ProcessFigures(), model?: () => string) {
    this.#readMemory = gauges.memoryBytes;
    this.#counts = addCounts(this.#list);
    const { narrations } = this.#counts;
    addGauges(this.#list, gauges, {
      memoryBytes: () => this.#memoryBytes,
      engineLosses: () => narrations.count('engine.lost'),
    });
    this.#aliases = model ? vllmAliases(this.#counts, gauges, model) : [];
    this.#ofProcess = new ProcessMetrics(figures, this.#lag);
  }

  /** Adds the metrics of a part that not every worker has. */
  include(metrics: readonly Metric[]): void {
    this.#list.include(metrics);
  }

  get contentType(): string {
    return CONTENT_TYPE;
  }

  /** The worker's own metrics, without those of the process. */
  get own(): readonly Metric[] {
    return this.#list.all;
  }

  get aliases(): readonly Alias[] {
    return this.#aliases;
  }

  /**
   * The answer to a scrape.
   * @param processAgeMs maximum age of the metrics of the process in milliseconds; those of the worker are
   * new
   */
  async render(processAgeMs = 0): Promise<string> {
    this.#memoryBytes = await this.#readMemory();
    const metrics = [...this.#list.all, ...this.#aliases];
    return [...metrics.map((metric) => metric.text()), await this.#ofProcess.text(processAgeMs)].join('\n');
  }

  /** Call when a request begins. */
  begun(): void {
    this.#lag.begin();
  }

  /** Call once for each `begun`, when the request has ended. */
  ended(): void {
    this.#lag.end();
  }

  /** Counts one narration. */
  narrated(event: string): void {
    this.#counts.narrations.add(1, event);
  }

  /** Counts skipped narration and metrics events. */
  shed(count: number): void {
    if (count > 0) this.#counts.shed.add(count);
  }

  /** Counts one refused request, or one connection that was refused or closed for a new one. */
  refused(reason: HttpRefusal): void {
    this.#counts.refusals.add(1, reason);
  }

  /** Gives each code a series of errors that begins with 0, so that a rate includes its first count. */
  expectErrors(codes: readonly string[]): void {
    for (const code of codes) this.#counts.errors.add(0, code);
  }

  /** Counts one request that was answered with an error. @param code a code of the contract */
  failed(code: string): void {
    this.#counts.errors.add(1, code);
  }

  /** Counts one grammar that a request needed. */
  grammar(outcome: GrammarOutcome): void {
    this.#counts.grammars.add(1, outcome);
  }

  /** Counts one output that has lost its slot with its engine, and is continued. */
  interrupted(): void {
    this.#counts.interrupted.add(1);
  }

  /** Counts one output that goes on after an interruption. */
  resumed(): void {
    this.#counts.resumed.add(1);
  }

  /** Counts one output that has given back its slot and its memory. */
  preempted(): void {
    this.#counts.preempted.add(1);
  }

  /**
   * Counts one token of a step that decoded `batch` sequences.
   * @param gapMs milliseconds since the step before with a token of the same output; undefined for the first
   * step, and for all tokens of a step but the first
   */
  token(batch: number, gapMs?: number): void {
    this.#counts.tokensOut.add(1);
    this.#counts.batch.observe(batch);
    if (gapMs !== undefined) this.#counts.betweenTokens.observe(gapMs / 1000);
  }

  /** Counts one finished request. */
  finished(account: Account): void {
    const counts = this.#counts;
    counts.requests.add(1, account.outcome);
    if (account.stopReason !== undefined) counts.completed.add(1, account.stopReason);
    counts.tokensIn.add(account.tokensIn);
    counts.lookedUp.add(account.tokensLookedUp ?? 0);
    counts.cached.add(account.tokensCached ?? 0);
    counts.drafted.add(account.tokensDrafted ?? 0);
    counts.accepted.add(account.tokensAccepted ?? 0);
    counts.forced.add(account.tokensForced ?? 0);
    counts.duration.observe(account.durationMs);
    if (account.queueMs !== undefined) counts.queueWait.observe(account.queueMs);
    if (account.timeToFirstTokenMs !== undefined) counts.firstToken.observe(account.timeToFirstTokenMs);
    if (account.prefillMs !== undefined) counts.prefill.observe(account.prefillMs / 1000);
    if (account.decodeMs === undefined) return;
    counts.decode.observe(account.decodeMs / 1000);
    if (account.tokensOut > 1) counts.perToken.observe(account.decodeMs / (account.tokensOut - 1));
  }
}
