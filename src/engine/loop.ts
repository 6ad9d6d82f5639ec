/**
 * The engine: schedule → run → sample → settle, one report per step for all sequences, and back to the event loop in between so that
 * what arrives is seen before the next step. Numbers only: it knows nothing of processes, text or narration.
 */
import type { EngineFacts, EngineOptions, FromEngine, SequenceReport, SequenceRequest } from '../bridge/protocol.ts';
import { type CacheUsage, KvCache, slotsThatFit } from './kv-cache.ts';
import { loadOrt } from './ort/api.ts';
import { deviceNamed } from './ort/device.ts';
import { Session } from './ort/session.ts';
import { validate } from './request.ts';
import { prefillChunk, Runner } from './runner.ts';
import { Sampler } from './sampler.ts';
import { type Plan, Scheduler } from './scheduler.ts';
import { Sequence } from './sequence.ts';

/** Takes what the engine has to say while it opens and after every step. */
export type Publish = (message: Extract<FromEngine, { kind: 'opening' | 'report' }>) => void;

/** Whether a run failed for want of memory, by what the runtime's allocators say: arena, C++, CUDA. */
export const isOutOfMemory = (message: string): boolean =>
  /bad_alloc|failed to allocate|out of memory|cannot allocate/i.test(message);

/** A short sequence that uses every rule of the sampler. */
const REHEARSAL: Omit<SequenceRequest, 'prompt' | 'maxTokens'> = {
  id: -1,
  minTokens: 0,
  endIds: [],
  sampling: {
    temperature: 1,
    topK: 40,
    topP: 0.95,
    minP: 0.02,
    repetitionPenalty: 1.1,
    frequencyPenalty: 0.1,
    presencePenalty: 0.1,
    seed: 0,
  },
};
const REHEARSAL_PROMPT = 16;
const REHEARSAL_TOKENS = 4;

const now = (): number => performance.now();

export class Engine {
  #facts: EngineFacts;
  readonly #session: Session;
  readonly #cache: KvCache;
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
    const begun = now();
    expectCount('context', options.context, 2);
    if (options.slots !== 'auto') expectCount('slots', options.slots, 1);
    const device = deviceNamed(options.device);
    const api = loadOrt(options.runtimeLibrary);
    publish({ kind: 'opening', device: options.device, runtimeVersion: api.version });
    const session = Session.open(api, options.modelFile, device);
    try {
      const loaded = now();
      const { vocabSize } = session.signature;
      const chunk = prefillChunk(vocabSize, options.context);
      const rowBytes = session.rowBytes(options.context);
      const rows = options.slots === 'auto' ? slotsThatFit(rowBytes, process.availableMemory()) : options.slots;
      session.reserve({ rows, capacity: options.context, chunk });
      const { layers, kvHeads, headDim } = session.signature;
      const facts: EngineFacts = {
        runtimeVersion: api.version,
        device: options.device,
        slots: rows,
        context: options.context,
        vocabSize,
        layers,
        kvHeads,
        headDim,
        cacheBytes: rows * rowBytes,
        residentBytes: 0,
        deviceBytes: 0,
        prefillChunk: chunk,
        loadMs: loaded - begun,
        warmupMs: 0,
      };
      const engine = new Engine(facts, session, publish);
      engine.#rehearse();
      engine.#facts = { ...facts, residentBytes: process.memoryUsage.rss(), warmupMs: now() - loaded };
      return engine;
    } catch (error) {
      session.close();
      throw error;
    }
  }

  private constructor(facts: EngineFacts, session: Session, publish: Publish) {
    this.#facts = facts;
    this.#session = session;
    this.#publish = publish;
    this.#cache = new KvCache(facts.slots, facts.context);
    this.#scheduler = new Scheduler(this.#cache, facts.prefillChunk, now);
    this.#runner = new Runner(session, this.#cache, facts.prefillChunk);
    this.#sampler = new Sampler(facts.vocabSize);
  }

  get facts(): EngineFacts {
    return this.#facts;
  }

  /** Queues a sequence. One that breaks the protocol's rules is reported as `failed`. */
  submit(request: SequenceRequest): void {
    const live = this.#scheduler.find(request.id);
    const broken = validate(request, this.facts);
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
    this.#rejected.push({ id, notes: [], tokens: [], finish: { reason: 'failed', message, cached: 0, timings } });
  }

  #wake(): void {
    if (this.#next || this.#closed) return;
    this.#next = setImmediate(() => {
      this.#next = undefined;
      const message = this.#step();
      if (message) this.#publish(message);
      if (this.#scheduler.busy) this.#wake();
    });
  }

  /**
   * A sequence that nobody waits for, through every part of a step: the first runs allocate what later ones reuse, show whether the model
   * can be driven at all, and code that has run before is faster (with the worker's own rehearsal, the first token of the first request takes 16 ms instead of 23).
   * @throws Error with the runtime's message.
   */
  #rehearse(): void {
    const { context, prefillChunk } = this.facts;
    const prompt = new Array<number>(Math.min(REHEARSAL_PROMPT, prefillChunk, context - 1)).fill(0);
    const sequence = new Sequence(
      { ...REHEARSAL, prompt, maxTokens: Math.min(REHEARSAL_TOKENS, context - prompt.length) },
      now(),
    );
    this.#scheduler.add(sequence);
    while (this.#scheduler.busy) {
      const [report] = this.#step()?.sequences ?? [];
      if (report?.finish && 'message' in report.finish) throw new Error(report.finish.message);
    }
    this.#cache.truncate(sequence.slot, 0);
  }

  /** One step; what there is to report of it. */
  #step(): Extract<FromEngine, { kind: 'report' }> | undefined {
    const ended = this.#scheduler.settle();
    const plan = this.#scheduler.plan();
    if (plan.prefill) this.#prefill(plan.prefill);
    if (plan.decode.length > 0) this.#decode(plan.decode);
    // Slots are free before anyone is told.
    ended.push(...this.#scheduler.settle());
    const reports = this.#rejected.splice(0);
    for (const sequence of [...ended, ...this.#scheduler.sequences]) {
      const report = sequence.report();
      if (report) reports.push(report);
    }
    const batch = plan.decode.length + (plan.prefill ? 1 : 0);
    return reports.length > 0 ? { kind: 'report', batch, sequences: reports } : undefined;
  }

  #prefill(chunk: NonNullable<Plan['prefill']>): void {
    const { sequence, start, count } = chunk;
    const done = start + count;
    try {
      const logits = this.#runner.prefill(chunk);
      if (done === sequence.request.prompt.length) this.#sample(sequence, logits);
      else sequence.notePrefill(done, now());
    } catch (error) {
      this.#fail([sequence], error);
    }
  }

  #decode(sequences: readonly Sequence[]): void {
    let rows: Float32Array[];
    try {
      rows = this.#runner.decode(sequences);
    } catch (error) {
      this.#fail(sequences, error);
      return;
    }
    for (const [index, sequence] of sequences.entries()) {
      const logits = rows[index];
      if (logits) this.#sample(sequence, logits);
    }
  }

  /** Logits that nothing can be drawn from are this sequence's failure, not its neighbours'. */
  #sample(sequence: Sequence, logits: Float32Array): void {
    try {
      sequence.accept(this.#sampler.sample(logits, sequence), now());
    } catch (error) {
      this.#fail([sequence], error);
    }
  }

  /** What a failed run has left in the slots is not trusted. */
  #fail(sequences: readonly Sequence[], error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    for (const sequence of sequences) {
      sequence.fail(isOutOfMemory(message) ? 'out_of_memory' : 'failed', message, now());
      this.#cache.truncate(sequence.slot, 0);
    }
  }
}

function expectCount(name: string, value: number, least: number): void {
  if (!Number.isSafeInteger(value) || value < least)
    throw new Error(`${name} must be a whole number, at least ${least}`);
}
