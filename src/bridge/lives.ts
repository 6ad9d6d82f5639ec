/**
 * The lives of one sequence. A sequence can lose its slot with a lost engine, to a sequence that needs its
 * memory, or for the test of another sequence; it is then continued from its ids. Keeps the ids of the
 * output. Joins the reports of several lives: no token and no score comes twice, and the times are those of
 * the whole. Sends nothing.
 */
import type { Finish, Note, PromptScores, SequenceReport, SequenceRequest } from '../protocol/messages.ts';

/** The end of an interruption: the first step with a token, a score or an end after it. */
export interface Resumed {
  /** Ids of the prompt and of the output that the engine computed again. */
  readonly recomputed: number;
  /** Milliseconds from the last step before the interruption to this step. */
  readonly lostMs: number;
}

/** A report for the caller. */
export interface Told {
  readonly report: SequenceReport;
  /** Absent in a step that ends no interruption. */
  readonly resumed?: Resumed;
}

type Started = Extract<Note, { note: 'started' }>;

export class Lives {
  readonly #request: SequenceRequest;
  /** All ids of the output. */
  readonly #ids: number[];
  readonly #createdAt = performance.now();
  /**
   * Milliseconds before the sequence was submitted to the engine that gave it its first slot, if it had to
   * wait for that engine. The engine counts `queueMs` from the submission.
   */
  #waitedMs = 0;
  #hasSlot = false;
  /** The first slot, and when its note came. The times of a later life are not those of the caller. */
  #first: { readonly note: Started; readonly at: number } | undefined;
  /** Ids that the current life computes before its first token. */
  #computes = 0;
  #isInterrupted = false;
  /** Time of the last step, until the step that ends the interruption. */
  #gapFrom: number | undefined;
  /** Index in the prompt of the next score to report. */
  #nextScore = 1;
  /** Times on the clock of performance.now(). */
  #lastStep = 0;
  #firstToken: number | undefined;
  #lastToken = 0;

  constructor(request: SequenceRequest) {
    this.#request = request;
    this.#ids = [...(request.continued ?? [])];
  }

  /** The request for the next engine: the output goes on after the ids so far. */
  get next(): SequenceRequest {
    return this.#ids.length === 0 ? this.#request : { ...this.#request, continued: [...this.#ids] };
  }

  /** Number of ids of the output. */
  get generated(): number {
    return this.#ids.length;
  }

  /** True while the sequence has a slot. */
  get hasSlot(): boolean {
    return this.#hasSlot;
  }

  /** True after the sequence has had a slot. */
  get began(): boolean {
    return this.#first !== undefined;
  }

  /** Called when a sequence that had to wait for an engine is submitted. */
  waited(): void {
    if (!this.began) this.#waitedMs = performance.now() - this.#createdAt;
  }

  /** Called when the sequence has lost its slot, and waits. */
  interrupt(): void {
    this.#hasSlot = false;
    if (!this.began) return;
    this.#isInterrupted = true;
    this.#gapFrom ??= this.#lastStep;
  }

  /** Adds a report of an engine. Returns the report for the caller. */
  add(report: SequenceReport): Told {
    const now = performance.now();
    const gapBefore = this.#gapFrom;
    const { promptScores: all, ...rest } = report;
    const promptScores = all && this.#unreported(all);
    const notes = report.notes.map((note) => this.#note(note, now));
    for (const { id } of report.tokens) this.#ids.push(id);
    if (report.tokens.length > 0) {
      this.#firstToken ??= now;
      this.#lastToken = now;
    }
    this.#lastStep = now;
    // A sequence that is preempted in this step had its tokens before that.
    const gapFrom = this.#hasSlot || report.finish ? this.#gapFrom : gapBefore;
    const isGapOver = gapFrom !== undefined && hasProgress({ ...rest, ...(promptScores && { promptScores }) });
    if (isGapOver && gapFrom === this.#gapFrom) this.#gapFrom = undefined;
    return {
      report: {
        ...rest,
        notes,
        ...(promptScores && { promptScores }),
        ...(report.finish && { finish: this.#whole(report.finish, now) }),
      },
      ...(isGapOver && { resumed: { recomputed: this.#computes, lostMs: now - gapFrom } }),
    };
  }

  /** The end of a sequence that is cancelled while no engine has it. */
  cancelled(): Finish {
    const timings = { queueMs: 0, prefillMs: 0, decodeMs: 0 };
    const finish = { reason: 'cancelled', cachedTokens: 0, drafted: 0, accepted: 0, timings } as const;
    return this.began ? this.#ofAllLives(finish, performance.now()) : finish;
  }

  #note(note: Note, now: number): Note {
    if (note.note === 'preempted') this.interrupt();
    if (note.note !== 'started') return note;
    const waited = { ...note, queueMs: note.queueMs + this.#waitedMs };
    this.#hasSlot = true;
    this.#computes = this.#request.prompt.length + this.#ids.length - note.cachedTokens;
    if (this.#first) return note;
    this.#first = { note: waited, at: now };
    return waited;
  }

  /** The scores that no earlier life has reported; undefined if there are none. */
  #unreported({ from, scores }: PromptScores): PromptScores | undefined {
    const known = Math.max(0, this.#nextScore - from);
    this.#nextScore = Math.max(this.#nextScore, from + scores.length);
    return known >= scores.length ? undefined : { from: from + known, scores: scores.slice(known) };
  }

  /** The end with the times of all lives. */
  #whole(finish: Finish, now: number): Finish {
    if (this.#isInterrupted) return this.#ofAllLives(finish, now);
    if (this.#waitedMs === 0) return finish;
    const { timings } = finish;
    return { ...finish, timings: { ...timings, queueMs: timings.queueMs + this.#waitedMs } };
  }

  /**
   * The queue and the cached tokens are those of the first life. The prefill ends with the first token, and
   * the rest is decoding; an interruption is a part of the phase in which it happened. The drafts of a lost
   * engine are not known.
   */
  #ofAllLives(finish: Finish, now: number): Finish {
    const { note, at } = this.#first ?? {};
    const firstToken = this.#firstToken ?? now;
    return {
      ...finish,
      cachedTokens: note?.cachedTokens ?? 0,
      timings: {
        queueMs: note?.queueMs ?? 0,
        prefillMs: at === undefined ? 0 : firstToken - at,
        decodeMs: this.#firstToken === undefined ? 0 : this.#lastToken - firstToken,
      },
    };
  }
}

/** True if a report has a token, a score or the end of a complete output. */
const hasProgress = ({ tokens, promptScores, finish }: SequenceReport): boolean =>
  tokens.length > 0 || promptScores !== undefined || finish?.reason === 'eos' || finish?.reason === 'max_tokens';
