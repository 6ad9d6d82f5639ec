/**
 * The engine: runs all sequences step by step. A step is admit → plan → run → sample → settle → report; one
 * report covers all sequences. Between two steps the engine returns to the event loop, so that the process
 * reads new messages before the next step. Knows no processes, no text and no narration.
 */

import type { VocabularyData } from '../grammar/matching/vocabulary.ts';
import { residentBytes } from '../protocol/host/process-memory.ts';
import type { EngineFacts, EngineOptions } from '../protocol/loading.ts';
import type {
  FailureReason,
  FromEngine,
  PrefillWork,
  SequenceReport,
  SequenceRequest,
  TokenReport,
} from '../protocol/messages.ts';
import { messageOf } from '../protocol/text/error-message.ts';
import { KvCache } from './cache/kv-cache.ts';
import type { Match } from './cache/prefix-tree.ts';
import { checkRequest } from './check-request.ts';
import { CostModel } from './cost-model.ts';
import { openSession } from './load/open-model.ts';
import type { Publish } from './load/use-session.ts';
import { warmUpRequest } from './load/warm-up.ts';
import { isOutOfMemory } from './ort/error-causes.ts';
import type { Logits } from './ort/gpu/decode-steps.ts';
import type { Session } from './ort/session.ts';
import { PrefillBudget } from './prefill-budget.ts';
import { type Result, Runner } from './runner.ts';
import type { Constraint } from './sampling/constraint.ts';
import { Grammars } from './sampling/grammars.ts';
import { InvalidLogits, Sampler } from './sampling/sampler.ts';
import { type Plan, Scheduler } from './scheduler.ts';
import { Sequence } from './sequence.ts';
import { WaitEstimate } from './wait-estimate.ts';

type Report = Extract<FromEngine, { kind: 'report' }>;

const now = (): number => performance.now();

export class Engine {
  /** Public for tests only. */
  readonly cache: KvCache;
  #facts: EngineFacts;
  readonly #session: Session;
  readonly #waits: WaitEstimate;
  readonly #scheduler: Scheduler;
  readonly #runner: Runner;
  readonly #sampler: Sampler;
  readonly #grammars = new Grammars();
  /** True if `--dtype` cannot choose other weights: the file has them in blocks. */
  readonly #hasOneDtype: boolean;
  readonly #publish: Publish;
  /** Reports of invalid requests, which never became sequences. */
  #rejected: SequenceReport[] = [];
  #next: NodeJS.Immediate | undefined;
  #closed = false;

  /**
   * Opens the model, reserves the memory and runs one warm-up sequence. Releases everything if it throws.
   * @param publish receives the progress of the load, and the report of each step.
   * @throws LoadError with the reason; Error for options out of range.
   */
  static open(options: EngineOptions, publish: Publish): Engine {
    return openSession(options, publish, ({ session, facts }) => {
      const began = now();
      const { quantize } = options.candidates.find(({ device }) => device === facts.device) ?? {};
      const hasOneDtype = facts.conversions !== undefined && quantize === undefined;
      const engine = new Engine(facts, session, publish, hasOneDtype);
      engine.#warmUp();
      const warmupMs = facts.warmupMs + now() - began;
      const resident = residentBytes();
      engine.#facts = { ...facts, ...(resident !== undefined && { residentBytes: resident }), warmupMs };
      return engine;
    });
  }

  private constructor(facts: EngineFacts, session: Session, publish: Publish, hasOneDtype: boolean) {
    this.#facts = facts;
    this.#session = session;
    this.#publish = publish;
    this.#hasOneDtype = hasOneDtype;
    const costs = new CostModel();
    this.cache = new KvCache({
      slots: facts.slots,
      storedRows: session.copiesRows ? facts.rows - facts.slots : 0,
      capacity: facts.context,
      truncates: facts.cacheUpdate === 'in_place',
      budget: facts.cacheBudgetBytes,
      memory: session,
      ...(session.copiesRows && { copyRow: (from: Match, to: number) => this.#runner.copyRow(from, to) }),
      copyPays: (tokens, share) => costs.copies.pays(tokens, share * costs.tokens.estimate(tokens)),
    });
    const budget = new PrefillBudget(costs, facts.prefillChunk, session.scoredPositions);
    this.#runner = new Runner(session, this.cache, costs, now);
    this.#waits = new WaitEstimate(budget);
    this.#scheduler = new Scheduler({
      cache: this.cache,
      budget,
      waits: this.#waits,
      now,
      ...(facts.speculation && { draftCost: costs.tokens }),
    });
    this.#sampler = new Sampler(facts.vocabSize);
  }

  get facts(): EngineFacts {
    return this.#facts;
  }

  /** Sets the texts of the ids, once. Sequences with a grammar need them. */
  setVocabulary(data: VocabularyData): void {
    this.#grammars.setVocabulary(data);
  }

  /**
   * Queues a sequence. An invalid request is reported as `failed`; so is a sequence whose id is submitted
   * twice.
   */
  submit(request: SequenceRequest): void {
    const existing = this.#scheduler.find(request.id);
    const violation = checkRequest(request, this.facts);
    if (existing) existing.fail('failed', `Sequence ${request.id} was submitted twice`, now());
    else if (violation) this.#reject(request.id, violation);
    else this.#add(request);
    this.#wake();
  }

  /** Stops a waiting or running sequence before the next step. Unknown ids are ignored. */
  cancel(id: number): void {
    this.#scheduler.find(id)?.end('cancelled', now());
    this.#wake();
  }

  /**
   * Excludes a sequence from the steps, or includes it again. The sequence keeps its slot. Unknown ids are
   * ignored.
   */
  pause(id: number, paused: boolean): void {
    const sequence = this.#scheduler.find(id);
    if (sequence) sequence.paused = paused;
    this.#wake();
  }

  /** Stops without a further report and releases everything. */
  close(): void {
    this.#closed = true;
    clearImmediate(this.#next);
    this.#session.close();
  }

  /** The sequence does not keep the text of its grammar, which can be large: the grammar is built here. */
  #add({ grammar, ...request }: SequenceRequest): void {
    const { id, maxTokens } = request;
    const { idLimit, vocabSize } = this.facts;
    // An end id without a logit is never drawn: a complete output must not wait for it.
    const endIds = request.endIds.filter((end) => end < vocabSize);
    try {
      const constraint = grammar && this.#grammars.start(grammar, { maxTokens, idLimit });
      this.#start({ ...request, endIds }, constraint);
    } catch (error) {
      this.#reject(id, messageOf(error));
    }
  }

  #start(request: SequenceRequest, constraint: Constraint | undefined): void {
    try {
      this.#scheduler.add(new Sequence(request, now(), constraint));
    } catch (error) {
      constraint?.release();
      this.#reject(request.id, messageOf(error), 'not_continuable');
    }
  }

  #reject(id: number, message: string, reason: FailureReason = 'failed'): void {
    const timings = { queueMs: 0, prefillMs: 0, decodeMs: 0 };
    const finish = { reason, message, cachedTokens: 0, drafted: 0, accepted: 0, timings } as const;
    this.#rejected.push({ id, notes: [], tokens: [], finish });
  }

  #wake(): void {
    if (this.#next || this.#closed) return;
    this.#next = setImmediate(() => {
      this.#next = undefined;
      this.#step(this.#publish);
      if (this.#scheduler.busy) this.#wake();
    });
  }

  /**
   * Runs a sequence that belongs to no request through every part of a step. Together with the worker's own
   * warm-up this reduces the time to the first token of the first request from 23 ms to 16 ms.
   * @throws Error with the runtime's message.
   */
  #warmUp(): void {
    const sequence = new Sequence(warmUpRequest(this.facts.idLimit, this.facts.context), now());
    this.#scheduler.add(sequence);
    while (this.#scheduler.busy) {
      this.#step(({ sequences: [report] }) => {
        if (report?.finish && 'message' in report.finish) throw new Error(report.finish.message);
      });
    }
    this.cache.clear(sequence.slot);
    this.#waits.forgetOutputs();
  }

  /**
   * One step. Reports cancellations and assigned slots before the run, which can take a quarter of a second.
   */
  #step(publish: (report: Report) => void): void {
    const began = now();
    const cancelled = this.#scheduler.settle();
    this.#scheduler.admit();
    const admitMs = now() - began;
    this.#report(cancelled, { batch: 0 }, publish);
    if (this.#closed) return; // the receiver of the report closed the engine
    const plan = this.#scheduler.plan();
    const prefill = this.#run(plan, admitMs);
    const decoded = plan.decode.length + (plan.verify ? 1 : 0);
    if (decoded > 0) this.#waits.noteStep(now() - began);
    // Frees the slots of finished sequences before their finish is reported.
    const ended = this.#scheduler.settle();
    const batch = decoded + plan.prefill.length;
    this.#report(ended, { batch, stepMs: now() - began, ...(prefill && { prefill }) }, publish);
  }

  /**
   * Runs a plan, and draws the next ids.
   * @param admitMs milliseconds in which sequences got slots, and copied prefixes
   * @returns the work for prompts; undefined if there was none
   */
  #run(plan: Plan, admitMs: number): PrefillWork | undefined {
    const { prefill } = plan;
    if (prefill.length === 0) {
      for (const result of this.#runner.run(plan)) this.#sample(result);
      return undefined;
    }
    const began = now();
    for (const result of this.#runner.run({ prefill, decode: [] })) this.#sample(result);
    const ms = admitMs + now() - began;
    for (const result of this.#runner.run({ ...plan, prefill: [] })) this.#sample(result);
    return { sequences: prefill.length, tokens: prefill.reduce((sum, { count }) => sum + count, 0), ms };
  }

  /**
   * Draws the next id, or scores an id of the prompt. If the run failed, or the logits are invalid, only this
   * sequence fails.
   */
  #sample([sequence, logits, scored]: Result): void {
    const { prompt, promptLogprobs = 0 } = sequence.request;
    try {
      if (logits instanceof Error) throw logits;
      if (scored !== undefined)
        sequence.addPromptScore(scored, this.#sampler.score(logits.all(), prompt[scored] ?? 0, promptLogprobs));
      else if (sequence.isOver) sequence.end('eos', now());
      else sequence.accept(this.#draw(logits, sequence), now());
    } catch (error) {
      const isOfWeights = error instanceof InvalidLogits && this.#hasOneDtype;
      const message = isOfWeights ? error.messageOfOneDtype : messageOf(error);
      sequence.fail(isOutOfMemory(message) ? 'out_of_memory' : 'failed', message, now());
      this.#runner.forget(sequence.slot);
    }
  }

  /** Draws from the best logits if they suffice, otherwise from all. Both draws give the same id. */
  #draw({ top, all }: Logits, sequence: Sequence): TokenReport {
    const drawn = top && this.#sampler.sampleTop(top, sequence);
    return drawn ?? this.#sampler.sample(all(), sequence);
  }

  /**
   * Publishes the unreported results of the finished and of all other sequences; nothing if there are none.
   */
  #report(
    ended: readonly Sequence[],
    step: Omit<Report, 'kind' | 'sequences'>,
    publish: (report: Report) => void,
  ): void {
    const sequences = this.#rejected.splice(0);
    for (const sequence of [...ended, ...this.#scheduler.sequences]) {
      const report = sequence.report();
      if (report) sequences.push(report);
    }
    if (sequences.length === 0) return;
    const evicted = this.cache.takeEvictions();
    const cache = { usedBytes: this.cache.budget.used, ...(evicted && { evicted }) };
    publish({ kind: 'report', ...step, ...this.#scheduler.estimate, cache, sequences });
  }
}
