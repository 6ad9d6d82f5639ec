/**
 * The names of groups that the open objects of a text have so far, so that no name comes twice. The automaton
 * does not know them: its states would grow with each name. Values are immutable. Pure.
 */

/** Names as bytes in characters, the last one first. */
interface NameList {
  readonly name: string;
  readonly next: NameList | undefined;
}

export class WrittenNames {
  /** No names, and no name that is being written. */
  static readonly NONE = new WrittenNames([], undefined);
  /** By the number of objects around the names. */
  readonly #levels: readonly (NameList | undefined)[];
  /** The bytes of the name that is being written. */
  readonly current: string | undefined;

  private constructor(levels: readonly (NameList | undefined)[], current: string | undefined) {
    this.#levels = levels;
    this.current = current;
  }

  /** True if no object has a name of a group. */
  get areNone(): boolean {
    return this.#levels.every((list) => list === undefined);
  }

  /** An object has begun. Objects inside of earlier values at its depth are forgotten. */
  opened(depth: number): WrittenNames {
    return new WrittenNames(this.#levels.slice(0, depth), undefined);
  }

  /** A name has begun. */
  begun(): WrittenNames {
    return new WrittenNames(this.#levels, '');
  }

  /** The name that is being written has one more byte. */
  longer(byte: number): WrittenNames {
    return new WrittenNames(this.#levels, (this.current ?? '') + String.fromCharCode(byte));
  }

  /** The name that is being written is one of a list, or none. */
  dropped(): WrittenNames {
    return this.current === undefined ? this : new WrittenNames(this.#levels, undefined);
  }

  /** The name that is being written has ended in an object of this depth. */
  ended(depth: number): WrittenNames {
    const levels = this.#levels.slice(0, depth + 1);
    levels[depth] = { name: this.current ?? '', next: levels[depth] };
    return new WrittenNames(levels, undefined);
  }

  /** True if the object of this depth has a name already. */
  has(depth: number, name: string): boolean {
    for (let list = this.#levels[depth]; list; list = list.next) if (list.name === name) return true;
    return false;
  }
}
