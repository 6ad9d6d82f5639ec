/** The events of a simulation in the order of their times; equal times in the order of their entry. */

interface Entry {
  readonly at: number;
  readonly order: number;
  readonly act: (now: number) => void;
}

/** A binary heap. */
export class Agenda {
  readonly #heap: Entry[] = [];
  #order = 0;
  /** Time of the last event, in the unit of the caller. */
  now = 0;

  /** Adds an event. It never comes before the current time. */
  at(time: number, act: (now: number) => void): void {
    this.#order += 1;
    this.#heap.push({ at: Math.max(time, this.now), order: this.#order, act });
    this.#up(this.#heap.length - 1);
  }

  /** Runs all events up to a time. Events may add events. */
  runUntil(end: number): void {
    for (let first = this.#heap[0]; first && first.at <= end; first = this.#heap[0]) {
      this.#removeFirst();
      this.now = first.at;
      first.act(first.at);
    }
    this.now = end;
  }

  #removeFirst(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#down(0);
  }

  #up(from: number): void {
    for (let at = from; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (!this.#swapIfLater(parent, at)) return;
      at = parent;
    }
  }

  #down(from: number): void {
    for (let at = from; ; ) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      if (left >= this.#heap.length) return;
      const child = right < this.#heap.length && this.#isLater(left, right) ? right : left;
      if (!this.#swapIfLater(at, child)) return;
      at = child;
    }
  }

  #swapIfLater(one: number, other: number): boolean {
    if (!this.#isLater(one, other)) return false;
    const [first, second] = [this.#heap[one], this.#heap[other]] as [Entry, Entry];
    this.#heap[one] = second;
    this.#heap[other] = first;
    return true;
  }

  #isLater(one: number, other: number): boolean {
    const [first, second] = [this.#heap[one], this.#heap[other]] as [Entry, Entry];
    return first.at > second.at || (first.at === second.at && first.order > second.order);
  }
}
