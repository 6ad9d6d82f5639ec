/** Compiled grammars by their keys, within bounds: the one that was used longest ago goes first. Pure. */

/** Maximum number of grammars, and of bytes of all together. */
export interface CacheBounds {
  readonly count: number;
  readonly bytes: number;
}

interface Sized {
  /** Memory of a value. */
  readonly bytes: number;
}

export class GrammarCache<Value extends Sized> {
  readonly #bounds: CacheBounds;
  /** In the order of their last use. */
  readonly #values = new Map<string, Value>();
  #bytes = 0;

  constructor(bounds: CacheBounds) {
    this.#bounds = bounds;
  }

  /** Bytes of all values. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The value of a key, which counts as used now. */
  get(key: string): Value | undefined {
    const value = this.#values.get(key);
    if (value === undefined) return undefined;
    this.#values.delete(key);
    this.#values.set(key, value);
    return value;
  }

  /** Keeps a value, unless it alone has more bytes than all values may have. */
  set(key: string, value: Value): void {
    this.#remove(key);
    if (value.bytes > this.#bounds.bytes) return;
    this.#values.set(key, value);
    this.#bytes += value.bytes;
    for (const oldest of this.#values.keys()) {
      if (this.#values.size <= this.#bounds.count && this.#bytes <= this.#bounds.bytes) return;
      this.#remove(oldest);
    }
  }

  #remove(key: string): void {
    this.#bytes -= this.#values.get(key)?.bytes ?? 0;
    this.#values.delete(key);
  }
}
