/** Reads regular expressions of ECMA-262, with the meaning of the flag `u`, into a tree. Pure. */
import { type Budget, MAX_DEPTH } from '../budget.ts';
import { GrammarError } from '../grammar-error.ts';
import { type CharSet, DOT } from './char-set.ts';
import { PatternReader, readClass, readEscape, setOf } from './pattern-escapes.ts';

export type PatternNode =
  | { readonly kind: 'chars'; readonly set: CharSet }
  /** The start of the text: `^`. */
  | { readonly kind: 'begin' }
  /** The end of the text: `$`. */
  | { readonly kind: 'end' }
  | { readonly kind: 'sequence'; readonly items: readonly PatternNode[] }
  | { readonly kind: 'choice'; readonly items: readonly PatternNode[] }
  /** `max` can be Infinity. */
  | { readonly kind: 'repeat'; readonly item: PatternNode; readonly min: number; readonly max: number };

/**
 * The tree of a regular expression.
 * @throws GrammarError `invalid` or `unsupported` with the position; `too_complex` for groups nested too deeply
 */
export function parsePattern(source: string, budget: Budget): PatternNode {
  return new PatternParser(source, budget).parse();
}

const QUANTIFIER = /(?:([*+?])|\{(\d+)(?:(,)(\d*))?\})\??/y;
const BRACED = /\{\d+(?:,\d*)?\}/y;

class PatternParser {
  readonly #reader: PatternReader;
  readonly #budget: Budget;
  readonly #names = new Set<string>();
  #depth = 0;

  constructor(source: string, budget: Budget) {
    this.#reader = new PatternReader(source);
    this.#budget = budget;
  }

  parse(): PatternNode {
    const tree = this.#choice();
    if (this.#reader.next !== '') throw this.#reader.invalid('a closing parenthesis without its opening one');
    return tree;
  }

  #choice(): PatternNode {
    const items = [this.#sequence()];
    while (this.#reader.skip('|')) items.push(this.#sequence());
    return items.length === 1 && items[0] ? items[0] : { kind: 'choice', items };
  }

  #sequence(): PatternNode {
    const items: PatternNode[] = [];
    for (;;) {
      this.#budget.step();
      const char = this.#reader.next;
      if (char === '' || char === '|' || char === ')') break;
      const item = this.#assertion();
      if (item) items.push(item);
      else items.push(this.#quantified(this.#atom()));
    }
    return items.length === 1 && items[0] ? items[0] : { kind: 'sequence', items };
  }

  #assertion(): PatternNode | undefined {
    const start = this.#reader.at;
    let node: PatternNode;
    if (this.#reader.skip('^')) node = { kind: 'begin' };
    else if (this.#reader.skip('$')) node = { kind: 'end' };
    else return undefined;
    if (this.#reader.match(QUANTIFIER)) throw this.#reader.invalid('nothing to repeat', start + 1);
    return node;
  }

  #atom(): PatternNode {
    const reader = this.#reader;
    const start = reader.at;
    const char = reader.take();
    switch (char) {
      case '.':
        return { kind: 'chars', set: DOT };
      case '[':
        return { kind: 'chars', set: readClass(reader, this.#budget) };
      case '(':
        return this.#group(start);
      case '*':
      case '+':
      case '?':
        throw reader.invalid('nothing to repeat', start);
      case '{':
        reader.at = start;
        if (reader.match(BRACED)) throw reader.invalid('nothing to repeat', start);
        reader.at = start + 1;
        break;
      case '\\':
        if (/[bB]/.test(reader.next))
          throw reader.unsupported(`the word boundary \\${reader.next}`, 'write the neighboring characters out', start);
        return { kind: 'chars', set: setOf(readEscape(reader, this.#budget)) };
      default:
    }
    return { kind: 'chars', set: setOf(char.codePointAt(0) ?? 0) };
  }

  #group(start: number): PatternNode {
    if (this.#reader.skip('?')) this.#groupKind(start);
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH)
      throw new GrammarError('too_complex', [], `has groups nested more than ${MAX_DEPTH} deep; use fewer`);
    const tree = this.#choice();
    this.#depth -= 1;
    if (!this.#reader.skip(')')) throw this.#reader.invalid('a group without its closing parenthesis', start);
    return tree;
  }

  /** Reads the kind of a group after `(?`. */
  #groupKind(start: number): void {
    const reader = this.#reader;
    if (reader.skip(':')) return;
    if (reader.skip('=') || reader.skip('!'))
      throw reader.unsupported(
        'a lookahead',
        'write the alternatives out, or use another pattern beside this one',
        start,
      );
    if (reader.skip('<=') || reader.skip('<!'))
      throw reader.unsupported('a lookbehind', 'write the alternatives out', start);
    const name = reader.match(/<([\p{L}\p{Nl}$_][\p{L}\p{Nl}\p{Mn}\p{Mc}\p{Nd}\p{Pc}$]*)>/uy)?.[1];
    if (name === undefined) {
      if (reader.match(/[ims]*-?[ims]*[:)]/y))
        throw reader.unsupported('flags of a group', 'write both cases of a letter in a class', start);
      throw reader.invalid('an unknown kind of group', start);
    }
    if (this.#names.has(name)) throw reader.invalid(`a second group named ${name.slice(0, 40)}`, start);
    this.#names.add(name);
  }

  #quantified(item: PatternNode): PatternNode {
    const start = this.#reader.at;
    const match = this.#reader.match(QUANTIFIER);
    if (!match) return item;
    const [, sign, least, comma, most] = match;
    const min = sign === undefined ? Number(least) : sign === '+' ? 1 : 0;
    const max = sign === undefined ? maximum(min, comma, most) : sign === '?' ? 1 : Number.POSITIVE_INFINITY;
    if (min > max) throw this.#reader.invalid('numbers of a quantifier out of order', start);
    const end = this.#reader.at;
    if (this.#reader.match(QUANTIFIER)) throw this.#reader.invalid('nothing to repeat', end);
    return repeated(item, min, max);
  }
}

function maximum(min: number, comma: string | undefined, most: string | undefined): number {
  if (comma === undefined) return min;
  return most ? Number(most) : Number.POSITIVE_INFINITY;
}

/** A repetition; one of an optional item is a repetition of the item itself, which has fewer paths. */
function repeated(item: PatternNode, min: number, max: number): PatternNode {
  const optional = item.kind === 'repeat' && item.min === 0 && item.max === 1;
  return optional ? { kind: 'repeat', item: item.item, min: 0, max } : { kind: 'repeat', item, min, max };
}
