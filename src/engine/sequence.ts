/**
 * One sequence: its request, its output, its timings, and the unreported notes and tokens. Owns its tokens,
 * its counters and its random generator; changes nothing else.
 */
import type {
  FailureReason,
  Finish,
  Finished,
  Note,
  PromptScore,
  SequenceReport,
  SequenceRequest,
  TokenReport,
} from '../protocol/messages.ts';
import type { Begun } from './cache/kv-cache.ts';
import { PromptLookup } from './drafts/prompt-lookup.ts';
import type { Constraint } from './sampling/constraint.ts';
import { hasPenalty, Occurrences } from './sampling/penalties.ts';
import { Random } from './sampling/random.ts';

/**
 * `waiting` for a slot, or in its slot for the prompt of another sequence; `prefill`: the prompt is being
 * computed; `decode`: generates token by token; `finished`.
 */
export type SequenceState = 'waiting' | 'prefill' | 'decode' | 'finished';

/** A sequence starts only if this many tokens of output fit the memory. */
const FIRST_STRETCH = 128;

/** The begin in a slot. */
export interface Start extends Begun {
  /** Milliseconds by which the cached ids shorten the computation, about. */
  readonly savedMs?: number;
}

export class Sequence {
  readonly request: SequenceRequest;
  readonly endIds: ReadonlySet<number>;
  readonly random: Random;
  /** Absent if no penalty is set. */
  readonly occurrences: Occurrences | undefined;
  /** The progress in the grammar of the request; absent without a grammar. */
  readonly constraint: Constraint | undefined;
  /** The ids to compute before the next draw: the prompt, and the output so far of a continued sequence. */
  input: readonly number[];
  state: SequenceState = 'waiting';
  /** The slot in the KV cache; -1 while the sequence waits for one. */
  slot = -1;
  /** Ids of the input that the slot contained when the sequence started. */
  cachedTokens = 0;
  /** Ids of the input that are in the KV cache now. */
  computed = 0;
  /** Last reported position in the queue; 0 = none. */
  position = 0;
  /** The last generated id: the input of the next decode step. */
  lastId = -1;
  /** True while its subscriber lags: no step includes the sequence, which keeps its slot. */
  paused = false;

  readonly #arrived: number;
  /** Time since which the sequence waits for a slot. */
  #waitsSince: number;
  /** Cached tokens of the first start. */
  #firstCached: number | undefined;
  #started: number | undefined;
  /** Time of the last start: the first one, or the one after a preemption. */
  #startedAgain = 0;
  #firstToken: number | undefined;
  #lastToken: number | undefined;
  /** Generated ids. */
  readonly #output: number[] = [];
  #notes: Note[] = [];
  #tokens: TokenReport[] = [];
  #promptScores: { readonly from: number; readonly scores: PromptScore[] } | undefined;
  #finish: Finish | undefined;
  #promptLookup: PromptLookup | undefined;

  /**
   * @param now milliseconds on the engine's clock.
   * @param constraint of the grammar of the request, at its start.
   * @throws Error if the grammar does not allow the continued output
   */
  constructor(request: SequenceRequest, now: number, constraint?: Constraint) {
    const { prompt, continued = [] } = request;
    this.request = request;
    this.input = continued.length === 0 ? prompt : [...prompt, ...continued];
    this.constraint = constraint;
    this.#arrived = now;
    this.#waitsSince = now;
    this.endIds = new Set(request.endIds);
    this.random = Random.seeded(request.sampling.seed);
    if (hasPenalty(request.sampling)) {
      this.occurrences = new Occurrences();
      for (const id of prompt) this.occurrences.add(id, 0);
    }
    this.#replay(continued, now);
  }

  /** Number of generated ids. */
  get generated(): number {
    return this.#output.length;
  }

  /** True if the engine scores the prompt. The scores of a continued sequence were reported before. */
  get scoresPrompt(): boolean {
    return this.request.promptLogprobs !== undefined && this.generated === 0;
  }

  /** Number of tokens for which the sequence needs memory soon: its input and a stretch of output. */
  get nextTokens(): number {
    const { prompt, maxTokens } = this.request;
    const left = prompt.length + maxTokens - this.input.length;
    return Math.max(prompt.length + this.generated, this.input.length + Math.min(FIRST_STRETCH, left));
  }

  /** True while no end id may be drawn. */
  get belowMinTokens(): boolean {
    return this.generated < this.request.minTokens;
  }

  /** Adds a note to the next report. */
  note(note: Note): void {
    this.#notes.push(note);
  }

  /** Proposes drafts. Created at first use: a sequence that never runs alone needs no drafts. */
  get promptLookup(): PromptLookup {
    this.#promptLookup ??= new PromptLookup([...this.request.prompt, ...this.#output]);
    return this.#promptLookup;
  }

  /** Starts the sequence in a slot; `others` sequences run at the same time. */
  start({ slot, cachedTokens, savedMs, ...source }: Start, others: number, now: number): void {
    this.state = 'prefill';
    this.slot = slot;
    this.cachedTokens = cachedTokens;
    this.computed = cachedTokens;
    this.#started ??= now;
    this.#startedAgain = now;
    this.#firstCached ??= cachedTokens;
    const saved = cachedTokens > 0 && savedMs !== undefined && { savedMs };
    this.note({ note: 'started', slot, cachedTokens, ...source, ...saved, others, queueMs: now - this.#waitsSince });
  }

  /**
   * Takes the slot away from the sequence, which waits again, and later goes on with the next draw.
   * @param tokens number of its ids that were in the KV cache
   */
  preempt(tokens: number, now: number): void {
    this.state = 'waiting';
    this.slot = -1;
    this.position = 0;
    this.computed = 0;
    this.cachedTokens = 0;
    this.#waitsSince = now;
    this.input = [...this.request.prompt, ...this.#output];
    this.note({ note: 'preempted', tokens });
  }

  /** Notes that the first `done` ids of the input are in the KV cache, and that more follow. */
  notePrefill(done: number, now: number): void {
    this.computed = done;
    const total = this.input.length;
    const elapsedMs = now - this.#startedAgain;
    const etaMs = (elapsedMs / (done - this.cachedTokens)) * (total - done);
    this.note({ note: 'prefill', done, total, elapsedMs, etaMs });
  }

  /** Adds the score of the prompt id at an index: the first unreported one, or the one after the last. */
  addPromptScore(index: number, score: PromptScore): void {
    this.#promptScores ??= { from: index, scores: [] };
    this.#promptScores.scores.push(score);
  }

  /** True if the output is complete and no id may be drawn. Without a grammar, never. */
  get isOver(): boolean {
    return this.constraint?.isOver(this) === true;
  }

  /**
   * Adds a drawn id. Ends the sequence at an end id, when the grammar allows no further text, or when the
   * sequence has `maxTokens` tokens.
   * @throws Error if the grammar does not allow the id
   */
  accept(token: TokenReport, now: number): void {
    this.state = 'decode';
    this.#firstToken ??= now;
    this.#lastToken = now;
    if (this.endIds.has(token.id)) {
      this.end('eos', now);
      return;
    }
    this.constraint?.accept(token.id, this);
    this.#add(token.id);
    this.#tokens.push(token);
    this.#promptLookup?.push(token.id);
    this.#endIfComplete(now);
  }

  /** Ends the sequence without an error. Ignored if the sequence has ended already. */
  end(reason: 'max_tokens' | 'eos' | 'cancelled', now: number): void {
    const incomplete = reason !== 'eos' && this.constraint?.accepts === false;
    this.#finishWith({ reason, ...this.#finished(now), ...(incomplete && { incomplete }) });
  }

  /** Ends the sequence with an error. Ignored if the sequence has ended already. */
  fail(reason: FailureReason, message: string, now: number): void {
    this.#finishWith({ reason, message, ...this.#finished(now) });
  }

  /** The notes, the tokens, the scores and the finish since the last call; undefined if there are none. */
  report(): SequenceReport | undefined {
    const unreported = this.#notes.length + this.#tokens.length;
    if (unreported === 0 && !this.#promptScores && !this.#finish) return undefined;
    const report: SequenceReport = {
      id: this.request.id,
      notes: this.#notes,
      tokens: this.#tokens,
      ...(this.#promptScores && { promptScores: this.#promptScores }),
      ...(this.#finish && { finish: this.#finish }),
    };
    this.#notes = [];
    this.#tokens = [];
    this.#promptScores = undefined;
    this.#finish = undefined;
    return report;
  }

  /**
   * Brings the sequence to its state after the continued ids. Each of them took one random number.
   * @throws Error if the grammar does not allow an id
   */
  #replay(continued: readonly number[], now: number): void {
    for (const id of continued) {
      this.constraint?.follow(id);
      this.#add(id);
      this.random.uniform();
    }
    if (continued.length > 0) this.#endIfComplete(now);
  }

  #add(id: number): void {
    this.lastId = id;
    this.occurrences?.add(id, 1);
    this.#output.push(id);
  }

  #endIfComplete(now: number): void {
    if (this.constraint?.finished) this.end('eos', now);
    else if (this.generated >= this.request.maxTokens) this.end('max_tokens', now);
  }

  /** The first end counts; later ones are ignored. */
  #finishWith(finish: Finish): void {
    if (this.state === 'finished') return;
    this.state = 'finished';
    this.#finish = finish;
    this.constraint?.release();
  }

  #finished(now: number): Finished {
    const started = this.#started ?? now;
    const first = this.#firstToken ?? now;
    return {
      cachedTokens: this.#firstCached ?? 0,
      drafted: this.#promptLookup?.drafted ?? 0,
      accepted: this.#promptLookup?.accepted ?? 0,
      ...(this.constraint && { forced: this.constraint.forced }),
      timings: {
        queueMs: started - this.#arrived,
        prefillMs: first - started,
        decodeMs: (this.#lastToken ?? first) - first,
      },
    };
  }
}
