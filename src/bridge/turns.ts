/**
 * The engine's reports, one in each turn of the event loop. A worker that is busier than its engine reads dozens of them at once, and all of
 * them at once would be tens of milliseconds in which no probe is answered. Knows nothing of what it hands on.
 */

export class Turns<T> {
  readonly #take: (item: T) => void;
  /** In the order of their arrival. */
  readonly #waiting: T[] = [];
  #next: NodeJS.Immediate | undefined;

  constructor(take: (item: T) => void) {
    this.#take = take;
  }

  /** Hands `item` on at the end of this turn, or of as many later as there are items before it. */
  put(item: T): void {
    this.#waiting.push(item);
    this.#next ??= setImmediate(() => this.#turn());
  }

  /** Hands on all that waits: nothing may come before it any more. */
  flush(): void {
    clearImmediate(this.#next);
    this.#next = undefined;
    for (const item of this.#waiting.splice(0)) this.#take(item);
  }

  #turn(): void {
    const [item] = this.#waiting.splice(0, 1);
    this.#next = this.#waiting.length > 0 ? setImmediate(() => this.#turn()) : undefined;
    if (item !== undefined) this.#take(item);
  }
}
