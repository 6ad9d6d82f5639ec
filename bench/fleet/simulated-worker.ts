/**
 * One worker: slots, a bounded queue, prompts one after another, rows that decode together, and the stored
 * prefixes of ended requests. Between two changes all rates are constant or linear, so that its next change
 * has a time in closed form. Knows no clock: its owner calls `advance` and asks for `nextAt`.
 */
import { promptMs, promptShare, type ServiceTimes, stepMs } from './service.ts';

/** A request. Times are milliseconds of the simulation. */
export interface Job {
  readonly session: number;
  readonly prompt: number;
  readonly output: number;
  readonly arrived: number;
  /** Tokens of the output that exist: of a request that goes on elsewhere, those of its lost workers too. */
  done: number;
  cached: number;
  firstTokenAt: number | undefined;
  /** Time of its last loss, until its next token. */
  lostAt: number | undefined;
}

/** A request that no worker has begun. */
export const newJob = (request: Pick<Job, 'session' | 'prompt' | 'output' | 'arrived'>): Job => ({
  ...request,
  done: 0,
  cached: 0,
  firstTokenAt: undefined,
  lostAt: undefined,
});

export interface WorkerLimits {
  readonly slots: number;
  readonly queue: number;
  /** Maximum of stored prefixes: in free slots, and in rows that only store. */
  readonly stored: number;
}

/** An event of a job in a worker. */
export type Happening = { readonly job: Job; readonly kind: 'token' | 'end' };

interface Row {
  readonly job: Job;
  readonly joinedAt: number;
  readonly endStep: number;
}

interface Prompt {
  readonly job: Job;
  readonly isShort: boolean;
  work: number;
}

export class SimulatedWorker {
  readonly #times: ServiceTimes;
  readonly #limits: WorkerLimits;
  readonly #waiting: Job[] = [];
  #prompts: Prompt[] = [];
  #rows: Row[] = [];
  /** Session → tokens of its stored prefix; the oldest first. */
  readonly #stored = new Map<number, number>();
  #now = 0;
  /** Decode steps so far; a fraction is a step that is not complete. */
  #steps = 0;
  /** Tokens that the rows hold. */
  #tokens = 0;

  constructor(times: ServiceTimes, limits: WorkerLimits) {
    this.#times = times;
    this.#limits = limits;
  }

  /** Requests that run or wait. */
  get load(): number {
    return this.#waiting.length + this.#prompts.length + this.#rows.length;
  }

  /** Accepts a job, or refuses it because the queue is full. Call `advance` first. */
  submit(job: Job): boolean {
    const isFull = this.#prompts.length + this.#rows.length >= this.#limits.slots;
    if (isFull && this.#waiting.length >= this.#limits.queue) return false;
    this.#waiting.push(job);
    this.#admit();
    return true;
  }

  /** Ends the worker. Returns its jobs, with the tokens that they have. */
  lose(): Job[] {
    for (const row of this.#rows) row.job.done += Math.floor(this.#steps - row.joinedAt) + 1;
    const jobs = [...this.#rows, ...this.#prompts].map(({ job }) => job).concat(this.#waiting);
    [this.#rows, this.#prompts, this.#waiting.length, this.#tokens] = [[], [], 0, 0];
    this.#stored.clear();
    return jobs;
  }

  /** Time of the next change; infinite without work. */
  nextAt(): number {
    const share = this.#share();
    const prompt = this.#prompts[0];
    const byPrompt = prompt ? prompt.work / share : Number.POSITIVE_INFINITY;
    const first = this.#rows.reduce((least, { endStep }) => Math.min(least, endStep), Number.POSITIVE_INFINITY);
    const rest = prompt ? 1 - share : 1;
    const byRow = rest > 0 ? this.#timeOf(first - this.#steps) / rest : Number.POSITIVE_INFINITY;
    return this.#now + Math.min(byPrompt, byRow);
  }

  /** Moves to a time that is not after `nextAt`. Returns the tokens and ends that happened. */
  advance(now: number): Happening[] {
    const passed = now - this.#now;
    const share = this.#share();
    const prompt = this.#prompts[0];
    const steps = this.#stepsIn(passed * (prompt ? 1 - share : 1));
    if (prompt) prompt.work -= passed * share;
    this.#now = now;
    this.#steps += steps;
    this.#tokens += steps * this.#rows.length;
    return this.#settle();
  }

  /** Share of the time of the first prompt; the rows have the rest. */
  #share(): number {
    const [first] = this.#prompts;
    if (!first || this.#rows.length === 0) return 1;
    return first.isShort ? 1 : promptShare(this.#times, Number.POSITIVE_INFINITY, this.#stepMs());
  }

  #stepMs(): number {
    return stepMs(this.#times, this.#rows.length, this.#tokens);
  }

  /** Steps in a time: the tokens of all rows, and so the times of the steps, grow with each step. */
  #stepsIn(ms: number): number {
    if (this.#rows.length === 0 || ms <= 0) return 0;
    const step = this.#stepMs();
    const growth = this.#times.context * this.#rows.length;
    return growth === 0 ? ms / step : (Math.sqrt(step * step + 2 * growth * ms) - step) / growth;
  }

  #timeOf(steps: number): number {
    if (!Number.isFinite(steps)) return Number.POSITIVE_INFINITY;
    return Math.max(0, steps) * (this.#stepMs() + (this.#times.context * this.#rows.length * Math.max(0, steps)) / 2);
  }

  #settle(): Happening[] {
    const happened: Happening[] = [];
    // A billionth of a step is the rounding of the closed form.
    const ended = this.#rows.filter(({ endStep }) => endStep - this.#steps < 1e-6);
    for (const { job, joinedAt } of ended) {
      this.#tokens -= job.prompt + job.done + (this.#steps - joinedAt);
      job.done = job.output;
      this.#end(job, happened);
    }
    if (ended.length > 0) this.#rows = this.#rows.filter((row) => !ended.includes(row));
    const [first] = this.#prompts;
    if (first && first.work < 1e-6) {
      this.#prompts.shift();
      happened.push({ job: first.job, kind: 'token' });
      this.#decode(first.job, happened);
    }
    if (happened.length > 0) this.#admit();
    return happened;
  }

  /** A prompt is complete, and its run gave one token. */
  #decode(job: Job, happened: Happening[]): void {
    const left = job.output - job.done - 1;
    if (left <= 0) {
      job.done = job.output;
      this.#end(job, happened);
      return;
    }
    this.#tokens += job.prompt + job.done;
    this.#rows.push({ job, joinedAt: this.#steps, endStep: this.#steps + left });
  }

  #end(job: Job, happened: Happening[]): void {
    this.#stored.delete(job.session);
    this.#stored.set(job.session, job.prompt + job.output);
    for (const [oldest] of this.#stored) {
      if (this.#stored.size <= this.#limits.stored) break;
      this.#stored.delete(oldest);
    }
    happened.push({ job, kind: 'end' });
  }

  /** Gives free slots to waiting jobs. Prompts of one chunk go before longer ones. */
  #admit(): void {
    while (this.#waiting.length > 0 && this.#prompts.length + this.#rows.length < this.#limits.slots) {
      const job = this.#waiting.shift() as Job;
      const tokens = job.prompt + job.done;
      const cached = Math.min(this.#stored.get(job.session) ?? 0, Math.max(0, tokens - 2));
      job.cached += cached;
      const work = promptMs(this.#times, tokens, cached);
      const isShort = work <= this.#times.chunk;
      const prompt = { job, isShort, work };
      const longer = this.#prompts.findIndex((other, index) => index > 0 && isShort && !other.isShort);
      if (longer < 0) this.#prompts.push(prompt);
      else this.#prompts.splice(longer, 0, prompt);
    }
  }
}
