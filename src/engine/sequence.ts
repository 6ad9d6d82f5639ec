/**
 * One sequence: what was asked for, what was generated, where its time went, and what there is to report of it.
 * It owns its tokens, its counters and its generator, and touches nothing else.
 */
import type { Finish, Finished, Note, SequenceReport, SequenceRequest, TokenReport } from '../protocol/messages.ts';
import type { Taken } from './kv-cache.ts';
import { PromptLookup } from './prompt-lookup.ts';
import { hasPenalty, Occurrences } from './sampling/penalties.ts';
import { Random } from './sampling/random.ts';

/** `waiting` for a slot, `prefill` of the prompt, `decode` token by token, `finished`. */
export type SequenceState = 'waiting' | 'prefill' | 'decode' | 'finished';

export class Sequence {
  readonly request: SequenceRequest;
  readonly endIds: ReadonlySet<number>;
  readonly random: Random;
  /** Absent when no penalty is on. */
  readonly occurrences: Occurrences | undefined;
  state: SequenceState = 'waiting';
  /** The slot it runs in; -1 while it waits. */
  slot = -1;
  /** Prompt ids that were in the slot already. */
  cachedTokens = 0;
  /** Prompt ids that are in the cache by now. */
  computed = 0;
  /** Last position in the queue that was noted; 0 = none. */
  position = 0;
  /** The id to feed in the next decode step: the last one generated. */
  lastId = -1;
  /** Its reader lags: it is left out of the steps, and keeps its slot. */
  paused = false;

  readonly #arrived: number;
  #started: number | undefined;
  #firstToken: number | undefined;
  #lastToken: number | undefined;
  /** Ids generated so far. */
  readonly #output: number[] = [];
  #notes: Note[] = [];
  #tokens: TokenReport[] = [];
  #finish: Finish | undefined;
  #promptLookup: PromptLookup | undefined;

  /** @param now milliseconds on the engine's clock. */
  constructor(request: SequenceRequest, now: number) {
    this.request = request;
    this.#arrived = now;
    this.endIds = new Set(request.endIds);
    this.random = Random.seeded(request.sampling.seed);
    if (hasPenalty(request.sampling)) {
      this.occurrences = new Occurrences();
      for (const id of request.prompt) this.occurrences.add(id, 0);
    }
  }

  /** How many ids were generated so far. */
  get generated(): number {
    return this.#output.length;
  }

  /** Whether end-of-sequence must not be drawn yet. */
  get belowMinTokens(): boolean {
    return this.generated < this.request.minTokens;
  }

  /** Records something for the next report. */
  note(note: Note): void {
    this.#notes.push(note);
  }

  /** Proposes what comes next. Made at first use: a sequence that is never alone needs none. */
  get promptLookup(): PromptLookup {
    this.#promptLookup ??= new PromptLookup([...this.request.prompt, ...this.#output]);
    return this.#promptLookup;
  }

  /** It has a slot; `others` sequences run beside it. */
  start({ slot, cachedTokens, ...place }: Taken, others: number, now: number): void {
    this.state = 'prefill';
    this.slot = slot;
    this.cachedTokens = cachedTokens;
    this.computed = cachedTokens;
    this.#started = now;
    this.note({ note: 'started', slot, cachedTokens, ...place, others, queueMs: now - this.#arrived });
  }

  /** The first `done` ids of the prompt are in the cache, and more are to come. */
  notePrefill(done: number, now: number): void {
    this.computed = done;
    const total = this.request.prompt.length;
    const elapsedMs = now - (this.#started ?? now);
    const etaMs = (elapsedMs / (done - this.cachedTokens)) * (total - done);
    this.note({ note: 'prefill', done, total, elapsedMs, etaMs });
  }

  /** One id was drawn: the sequence decodes on, or is over when the id ends it or was the last it may have. */
  accept(token: TokenReport, now: number): void {
    this.state = 'decode';
    this.#firstToken ??= now;
    this.#lastToken = now;
    if (this.endIds.has(token.id)) {
      this.end('eos', now);
      return;
    }
    this.#tokens.push(token);
    this.lastId = token.id;
    this.occurrences?.add(token.id, 1);
    this.#output.push(token.id);
    this.#promptLookup?.push(token.id);
    if (this.generated >= this.request.maxTokens) this.end('max_tokens', now);
  }

  /** The sequence is over. */
  end(reason: 'max_tokens' | 'eos' | 'cancelled', now: number): void {
    this.#over({ reason, ...this.#finished(now) });
  }

  /** The sequence is over, and not as it should be. */
  fail(reason: 'failed' | 'out_of_memory', message: string, now: number): void {
    this.#over({ reason, message, ...this.#finished(now) });
  }

  /** What happened since the last call, or undefined for nothing. */
  report(): SequenceReport | undefined {
    if (this.#notes.length === 0 && this.#tokens.length === 0 && !this.#finish) return undefined;
    const report: SequenceReport = {
      id: this.request.id,
      notes: this.#notes,
      tokens: this.#tokens,
      ...(this.#finish && { finish: this.#finish }),
    };
    this.#notes = [];
    this.#tokens = [];
    this.#finish = undefined;
    return report;
  }

  /** The first end counts. */
  #over(finish: Finish): void {
    if (this.state === 'finished') return;
    this.state = 'finished';
    this.#finish = finish;
  }

  #finished(now: number): Finished {
    const started = this.#started ?? now;
    const first = this.#firstToken ?? now;
    return {
      cachedTokens: this.cachedTokens,
      drafted: this.#promptLookup?.drafted ?? 0,
      accepted: this.#promptLookup?.accepted ?? 0,
      timings: {
        queueMs: started - this.#arrived,
        prefillMs: first - started,
        decodeMs: (this.#lastToken ?? first) - first,
      },
    };
  }
}
