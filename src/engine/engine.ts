/**
 * The engine: schedule → run → sample → settle, one report per step for all sequences, and back to the event loop in between so that
 * what arrives is seen before the next step. Numbers only: it knows nothing of processes, text or narration.
 */
import type { EngineFacts, EngineOptions } from '../protocol/loading.ts';
import type { FromEngine, SequenceReport, SequenceRequest } from '../protocol/messages.ts';
import { checkRequest } from './check-request.ts';
import { CostModel } from './cost-model.ts';
import { type CacheUsage, KvCache } from './kv-cache.ts';
import { openSession, type Publish } from './load/open-model.ts';
import { warmUpRequest } from './load/warm-up.ts';
import { isOutOfMemory } from './ort/error-causes.ts';
import type { Session } from './ort/session.ts';
import { PrefillBudget } from './prefill-budget.ts';
import { Runner } from './runner.ts';
import { Sampler } from './sampling/sampler.ts';
import { type Chunk, Scheduler } from './scheduler.ts';
import { Sequence } from './sequence.ts';
import { WaitEstimate } from './wait-estimate.ts';

type Report = Extract<FromEngine, { kind: 'report' }>;

const now = (): number => performance.now();

export class Engine {
  #facts: EngineFacts;
  readonly #session: Session;
  readonly #cache: KvCache;
  readonly #costs = new CostModel();
  readonly #waits: WaitEstimate;
  readonly #scheduler: Scheduler;
  readonly #runner: Runner;
  readonly #sampler: Sampler;
  readonly #publish: Publish;
  /** Sequences that never came to be scheduled. */
  #rejected: SequenceReport[] = [];
  #next: NodeJS.Immediate | undefined;
  #closed = false;

  /**
   * Opens the model, reserves the memory and runs once. Nothing is left behind when it throws.
   * @throws OrtError with the runtime's message; Error for options out of range.
   */
  static open(options: EngineOptions, publish: Publish): Engine {
    return openSession(options, publish, ({ session, facts }) => {
      const began = now();
      const engine = new Engine(facts, session, publish);
      engine.#warmUp();
      const warmupMs = facts.warmupMs + now() - began;
      engine.#facts = { ...facts, residentBytes: process.memoryUsage.rss(), warmupMs };
      return engine;
    });
  }

  private constructor(facts: EngineFacts, session: Session, publish: Publish) {
    this.#facts = facts;
    this.#session = session;
    this.#publish = publish;
    this.#cache = new KvCache(facts.slots, facts.context, facts.cacheUpdate === 'in_place');
    const budget = new PrefillBudget(this.#costs, facts.prefillChunk);
    this.#waits = new WaitEstimate(budget);
    this.#scheduler = new Scheduler(this.#cache, budget, this.#waits, now);
    this.#runner = new Runner(session, this.#cache, this.#costs, now);
    this.#sampler = new Sampler(facts.vocabSize);
  }

  get facts(): EngineFacts {
    return this.#facts;
  }

  /** Queues a sequence. One that breaks the protocol's rules is reported as `failed`. */
  submit(request: SequenceRequest): void {
    const live = this.#scheduler.find(request.id);
    const broken = checkRequest(request, this.facts);
    if (live) live.fail('failed', `Sequence ${request.id} was submitted twice`, now());
    else if (broken) this.#reject(request.id, broken);
    else this.#scheduler.add(new Sequence(request, now()));
    this.#wake();
  }

  /** Stops a waiting or running sequence before the next step. Unknown ids are ignored. */
  cancel(id: number): void {
    this.#scheduler.find(id)?.end('cancelled', now());
    this.#wake();
  }

  /** Leaves a sequence out of the steps, or lets it go on; it keeps its slot. Unknown ids are ignored. */
  pause(id: number, paused: boolean): void {
    const sequence = this.#scheduler.find(id);
    if (sequence) sequence.paused = paused;
    this.#wake();
  }

  usage(): CacheUsage {
    return this.#cache.usage();
  }

  /** Stops without another report and releases everything. */
  close(): void {
    this.#closed = true;
    clearImmediate(this.#next);
    this.#session.close();
  }

  #reject(id: number, message: string): void {
    const timings = { queueMs: 0, prefillMs: 0, decodeMs: 0 };
    const finish = { reason: 'failed', message, cachedTokens: 0, drafted: 0, accepted: 0, timings } as const;
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
   * A sequence that nobody waits for, through every part of a step. With the worker's own rehearsal, the first token of the first request
   * takes 16 ms instead of 23.
   * @throws Error with the runtime's message.
   */
  #warmUp(): void {
    const sequence = new Sequence(warmUpRequest(this.facts.vocabSize, this.facts.context), now());
    this.#scheduler.add(sequence);
    while (this.#scheduler.busy) {
      this.#step(({ sequences: [report] }) => {
        if (report?.finish && 'message' in report.finish) throw new Error(report.finish.message);
      });
    }
    this.#cache.truncate(sequence.slot, 0);
    this.#waits.forgetOutputs();
  }

  /** One step. Who was cancelled and who has a slot is told before the run, which may take a quarter of a second. */
  #step(publish: (report: Report) => void): void {
    const began = now();
    const cancelled = this.#scheduler.settle();
    this.#scheduler.admit();
    this.#report(cancelled, 0, publish);
    // Whoever was told may have cancelled or closed.
    const ended = this.#scheduler.settle();
    if (this.#closed) return;
    const { prefill, decode, alone } = this.#scheduler.plan();
    for (const chunk of prefill) this.#prefill(chunk);
    const draft = alone && decode.length === 1 ? this.#draft(alone) : [];
    if (alone && draft.length > 0) this.#verify(alone, draft);
    else if (decode.length > 0) this.#decode(decode);
    if (decode.length > 0) this.#waits.noteStep(now() - began);
    // Slots are free before anyone is told.
    ended.push(...this.#scheduler.settle());
    this.#report(ended, decode.length + prefill.length, publish);
  }

  /** Tells what there is to tell of those that have ended and of all others, if anything. */
  #report(ended: readonly Sequence[], batch: number, publish: (report: Report) => void): void {
    const sequences = this.#rejected.splice(0);
    for (const sequence of [...ended, ...this.#scheduler.sequences]) {
      const report = sequence.report();
      if (report) sequences.push(report);
    }
    if (sequences.length === 0) return;
    const { slotFreeMs } = this.#scheduler;
    publish({ kind: 'report', batch, ...(slotFreeMs !== undefined && { slotFreeMs }), sequences });
  }

  #prefill(chunk: Chunk): void {
    const { sequence, start, count } = chunk;
    const done = start + count;
    try {
      const logits = this.#runner.prefill(chunk);
      if (done === sequence.request.prompt.length) this.#sample(sequence, logits);
      else sequence.notePrefill(done, now());
    } catch (error) {
      this.#fail(sequence, error);
    }
  }

  #decode(sequences: readonly Sequence[]): void {
    const rows = this.#runner.decode(sequences);
    for (const [index, sequence] of sequences.entries()) {
      const logits = rows[index];
      if (logits instanceof Error) this.#fail(sequence, logits);
      else if (logits) this.#sample(sequence, logits);
    }
  }

  /** What the only running sequence may go on with; its last token needs no draft. */
  #draft({ promptLookup, request, generated }: Sequence): readonly number[] {
    if (!this.#facts.speculation) return [];
    return promptLookup.propose(request.maxTokens - generated - 1, this.#costs.tokens);
  }

  /** Every position is drawn from as if decoded by itself; the first id that is not the drafted one ends the step. */
  #verify(sequence: Sequence, draft: readonly number[]): void {
    let rows: Float32Array[];
    const length = this.#cache.length(sequence.slot);
    try {
      rows = this.#runner.verify(sequence, draft);
    } catch (error) {
      this.#fail(sequence, error);
      return;
    }
    let right = 0;
    for (const [index, logits] of rows.entries()) {
      this.#sample(sequence, logits);
      if (sequence.state !== 'decode' || sequence.lastId !== draft[index]) break;
      right++;
    }
    sequence.promptLookup.learn(draft.length, right);
    this.#cache.truncate(sequence.slot, length + 1 + right);
  }

  /** Logits that nothing can be drawn from are this sequence's failure, not its neighbours'. */
  #sample(sequence: Sequence, logits: Float32Array): void {
    try {
      sequence.accept(this.#sampler.sample(logits, sequence), now());
    } catch (error) {
      this.#fail(sequence, error);
    }
  }

  #fail(sequence: Sequence, error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    sequence.fail(isOutOfMemory(message) ? 'out_of_memory' : 'failed', message, now());
    this.#runner.forget(sequence.slot);
  }
}
