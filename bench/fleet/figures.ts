/**
 * The figures of a simulation: requests by their ends, times to first token, tokens, requests in the fleet.
 */
import type { Job } from './simulated-worker.ts';

/** A first token: when its request arrived, and its delay. Milliseconds. */
export interface FirstToken {
  readonly arrived: number;
  readonly delay: number;
}

export class RunFigures {
  readonly #from: number;
  readonly firstTokens: FirstToken[] = [];
  /** Silences of the streams that went on elsewhere: from the loss to the next token. */
  readonly silences: number[] = [];
  /** All requests, also those of the warm-up. */
  readonly total = { arrived: 0, ended: 0, refused: 0 };
  /** Requests that arrived after the warm-up. */
  readonly counted = { arrived: 0, ended: 0, refused: 0, lost: 0 };
  tokens = 0;
  promptTokens = 0;
  cachedTokens = 0;
  /** Tokens that were computed a second time, because their worker was lost. */
  recomputed = 0;
  /** Sums of the times in the fleet: of the requests that ended, and of all requests at each moment. */
  #stays = 0;
  #area = 0;
  #changedAt = 0;
  #inside = 0;
  #seconds = 0;

  constructor(from: number) {
    this.#from = from;
  }

  arrived(job: Job, now: number): void {
    this.#count(now, 1);
    this.total.arrived += 1;
    if (job.arrived >= this.#from) this.counted.arrived += 1;
  }

  refused(job: Job, now: number): void {
    this.#count(now, -1);
    this.total.refused += 1;
    if (job.arrived >= this.#from) this.counted.refused += 1;
  }

  token(job: Job, now: number): void {
    if (job.lostAt !== undefined) {
      this.silences.push(now - job.lostAt);
      job.lostAt = undefined;
    }
    if (job.firstTokenAt !== undefined) return;
    job.firstTokenAt = now;
    if (job.arrived < this.#from) return;
    this.firstTokens.push({ arrived: job.arrived, delay: now - job.arrived });
    this.promptTokens += job.prompt;
    this.cachedTokens += job.cached;
  }

  ended(job: Job, now: number): void {
    this.#count(now, -1);
    this.total.ended += 1;
    if (now >= this.#from) this.tokens += job.output;
    if (job.arrived < this.#from) return;
    this.counted.ended += 1;
    this.#stays += now - job.arrived;
  }

  lost(job: Job, now: number): void {
    this.counted.lost += 1;
    if (job.firstTokenAt === undefined) return;
    job.lostAt = now;
    this.recomputed += job.prompt + job.done;
  }

  finish(now: number): void {
    this.#count(now, 0);
    this.#seconds = (now - this.#from) / 1000;
  }

  /** Requests in the fleet now. */
  get inside(): number {
    return this.#inside;
  }

  /** Mean number of requests in the fleet, after the warm-up. */
  get meanInside(): number {
    return this.#area / (1000 * this.#seconds);
  }

  /** Mean time of a request in the fleet, in milliseconds. */
  get meanStay(): number {
    return this.#stays / this.counted.ended;
  }

  get requestsPerSecond(): number {
    return this.counted.ended / this.#seconds;
  }

  get tokensPerSecond(): number {
    return this.tokens / this.#seconds;
  }

  /** Quantile of the times to first token, of the requests that arrived in [from, to). */
  firstToken(q: number, from = 0, to = Number.POSITIVE_INFINITY): number {
    const chosen = this.firstTokens.filter(({ arrived }) => arrived >= from && arrived < to);
    return quantileOf(
      chosen.map(({ delay }) => delay),
      q,
    );
  }

  #count(now: number, change: number): void {
    const since = Math.max(this.#changedAt, this.#from);
    if (now > since) this.#area += this.#inside * (now - since);
    this.#changedAt = now;
    this.#inside += change;
  }
}

/** The value below which a share `q` of the values lies; NaN without values. */
export function quantileOf(values: readonly number[], q: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}
