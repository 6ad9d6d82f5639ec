/** The workers as a router sees them: its own counts, samples of an age, and the workers of its table. */

/** Load of a worker over time, as far back as its oldest sample. */
class LoadHistory {
  readonly #changes: { at: number; load: number }[] = [{ at: Number.NEGATIVE_INFINITY, load: 0 }];

  set(at: number, load: number): void {
    this.#changes.push({ at, load });
  }

  /** The load at a time. Earlier times are not asked for again. */
  at(time: number): number {
    while (this.#changes.length > 1 && (this.#changes[1]?.at ?? 0) <= time) this.#changes.shift();
    return this.#changes[0]?.load ?? 0;
  }
}

export class FleetView {
  /** Requests that this router has under way on each worker. */
  readonly own: Int32Array;
  /** Workers of the table, in any order. */
  readonly listed: number[];
  readonly #histories: readonly LoadHistory[];
  readonly #phases: readonly number[];
  readonly #interval: number;

  /**
   * `interval`: time between two samples of a worker; `phases`: offset of the samples of each worker, 0 to 1.
   */
  constructor(phases: readonly number[], interval: number) {
    this.own = new Int32Array(phases.length);
    this.listed = phases.map((_, index) => index);
    this.#histories = phases.map(() => new LoadHistory());
    this.#phases = phases;
    this.#interval = interval;
  }

  /** The load of a worker has changed. The view learns it with the next sample. */
  changed(worker: number, now: number, load: number): void {
    this.#histories[worker]?.set(now, load);
  }

  /** The load in the last sample. */
  sampled(worker: number, now: number): number {
    const offset = (this.#phases[worker] ?? 0) * this.#interval;
    const time = Math.floor((now - offset) / this.#interval) * this.#interval + offset;
    return this.#histories[worker]?.at(time) ?? 0;
  }

  list(worker: number): void {
    if (!this.listed.includes(worker)) this.listed.push(worker);
  }

  /** Takes a worker out of the table. */
  remove(worker: number): void {
    const index = this.listed.indexOf(worker);
    if (index >= 0) this.listed.splice(index, 1);
  }
}
