/**
 * One sequence: its request, its output, its timings, and the news for the next report.
 * Owns its tokens, its counters and its random generator; changes nothing else.
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
  /** Its slot in the cache; -1 while it waits. */
  slot = -1;
  /** Prompt ids that the slot contained at the start. */
  cachedTokens = 0;
  /** Prompt ids that are in the cache now. */
  computed = 0;
  /** Last noted position in the queue; 0 = none. */
  position = 0;
  /** The last generated id: the input of the next decode step. */
  lastId = -1;
  /** True while its subscriber lags: no step includes it, and it keeps its slot. */
  paused = false;

  readonly #arrived: number;
  #started: number | undefined;
  #firstToken: number | undefined;
  #lastToken: number | undefined;
  /** Generated ids. */
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

  /** Number of generated ids. */
  get generated(): number {
    return this.#output.length;
  }

  /** True while end-of-sequence must not be drawn. */
  get belowMinTokens(): boolean {
    return this.generated < this.request.minTokens;
  }

  /** Adds a note to the next report. */
  note(note: Note): void {
    this.#notes.push(note);
  }

  /** Proposes drafts. Created at first use: a sequence that always has neighbours needs none. */
  get promptLookup(): PromptLookup {
    this.#promptLookup ??= new PromptLookup([...this.request.prompt, ...this.#output]);
    return this.#promptLookup;
  }

  /** The sequence has a slot; `others` sequences run beside it. */
  start({ slot, cachedTokens, ...diverged }: Taken, others: number, now: number): void {
    this.state = 'prefill';
    this.slot = slot;
    this.cachedTokens = cachedTokens;
    this.computed = cachedTokens;
    this.#started = now;
    this.note({ note: 'started', slot, cachedTokens, ...diverged, others, queueMs: now - this.#arrived });
  }

  /** The first `done` ids of the prompt are in the cache; more follow. */
  notePrefill(done: number, now: number): void {
    this.computed = done;
    const total = this.request.prompt.length;
    const elapsedMs = now - (this.#started ?? now);
    const etaMs = (elapsedMs / (done - this.cachedTokens)) * (total - done);
    this.note({ note: 'prefill', done, total, elapsedMs, etaMs });
  }

  /** One id was drawn. Ends the sequence at an end id, and after the last token of `maxTokens`. */
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

  /** Ends the sequence normally. */
  end(reason: 'max_tokens' | 'eos' | 'cancelled', now: number): void {
    this.#finishWith({ reason, ...this.#finished(now) });
  }

  /** Ends the sequence with an error. */
  fail(reason: 'failed' | 'out_of_memory', message: string, now: number): void {
    this.#finishWith({ reason, message, ...this.#finished(now) });
  }

  /** The news since the last call; undefined if there is none. */
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

  /** The first end counts; later ones are ignored. */
  #finishWith(finish: Finish): void {
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
