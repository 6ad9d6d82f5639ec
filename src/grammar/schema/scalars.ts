/** Strings and numbers of a schema as automata. Pure. */
import type { Budget } from '../budget.ts';
import { GrammarError } from '../grammar-error.ts';
import type { CharAutomaton, GrammarNode } from '../program.ts';
import { formatAutomaton, smallFormatAutomaton } from '../regular/formats/formats.ts';
import { numberAutomaton } from '../regular/number.ts';
import * as o from '../regular/operations.ts';
import { patternAutomaton } from '../regular/pattern.ts';
import { matches, wordsAutomaton } from '../regular/words.ts';
import { checkLeast, type NumberFacts, type TextFacts, type TextRule } from './facts.ts';
import type { Path } from './places.ts';

/** The strings of a rule: `everything` if the standard gives it no effect, undefined if there are none. */
type Language = CharAutomaton | 'everything' | undefined;

/** Maximum number of states of a pattern or a format together with `maxLength`. */
export const MAX_COPIED_STATES = 15_000;
/** A format with a greater `maxLength` has as few states as possible. */
const SMALL_FORMAT_CHARACTERS = 80;

/** `fraction`: numbers that are no integers. */
type NumberForm = 'integer' | 'number' | 'fraction';

export class Scalars {
  readonly #budget: Budget;
  readonly #ignored: (path: Path) => void;
  /** More than 0 while a proof must not rely on formats. */
  #proofs = 0;
  readonly #languages = new Map<string, Language>();
  readonly #numbers = new Map<string, CharAutomaton | undefined>();
  /** Languages with bounds of their lengths. */
  readonly #counted = new Map<CharAutomaton, Map<string, CharAutomaton | undefined>>();

  /** @param ignored called with the place of each format that has no effect */
  constructor(budget: Budget, ignored: (path: Path) => void) {
    this.#budget = budget;
    this.#ignored = ignored;
  }

  /**
   * Runs a proof that no value exists. It does not use formats: their automata accept only a part of the
   * texts of the standard.
   */
  prove<T>(proof: () => T): T {
    this.#proofs += 1;
    try {
      return proof();
    } finally {
      this.#proofs -= 1;
    }
  }

  /** The strings that match a pattern anywhere, or undefined if there are none. */
  pattern(source: string, path: Path): CharAutomaton | undefined {
    const language = this.#language({ kind: 'pattern', source, path, banned: false });
    return language === 'everything' ? o.anyText() : language;
  }

  /** True if a string meets a rule. */
  follows(rule: TextRule, value: string): boolean {
    const language = this.#language(rule);
    const matched = language === 'everything' || (language !== undefined && matches(language, value));
    return matched !== rule.banned;
  }

  isEmpty(facts: TextFacts): boolean {
    return facts.min > facts.max || (facts.rules.length > 0 && this.textNode(facts, []) === undefined);
  }

  /** The strings with these restrictions, without the excluded ones; undefined if there are none. */
  textNode({ min, max, rules, path }: TextFacts, excluded: readonly string[]): GrammarNode | undefined {
    if (min > max) return undefined;
    checkLeast(min, path);
    let language: Language = 'everything';
    for (const rule of rules) {
      language = this.#narrow(language, rule, max);
      if (language === undefined) return undefined;
    }
    const most = max === Number.POSITIVE_INFINITY ? undefined : max;
    if (language === 'everything' && excluded.length === 0)
      return { kind: 'text', min, ...(most !== undefined && { max: most }) };
    let automaton: CharAutomaton | undefined = language === 'everything' ? o.anyText() : language;
    if (min > 0 || most !== undefined) automaton = this.#withLength(automaton, min, most);
    const words = excluded.filter((word) => word.isWellFormed());
    if (automaton && words.length > 0)
      automaton = o.subtract(automaton, wordsAutomaton(words, this.#budget), this.#budget);
    return automaton && { kind: 'string', automaton };
  }

  /** The texts of `min` to `most` characters. */
  #withLength(automaton: CharAutomaton, min: number, most: number | undefined): CharAutomaton | undefined {
    const lengths = this.#counted.get(automaton) ?? new Map<string, CharAutomaton | undefined>();
    this.#counted.set(automaton, lengths);
    const key = `${min} ${most}`;
    if (!lengths.has(key)) lengths.set(key, this.#counting(automaton, min, most));
    return lengths.get(key);
  }

  /**
   * Counts by copies of the automaton. If they are too many, the longest texts of an endless language are
   * left out, as long as shorter ones exist.
   */
  #counting(automaton: CharAutomaton, min: number, most: number | undefined): CharAutomaton | undefined {
    const affordable = Math.floor(MAX_COPIED_STATES / automaton.accepts.length);
    const isLong = most !== undefined && affordable < most && affordable >= min && o.isEndless(automaton, this.#budget);
    const some = isLong ? o.withLength(automaton, min, affordable, this.#budget) : undefined;
    return some ?? o.withLength(automaton, min, most, this.#budget);
  }

  /** The language of a text node. */
  textAutomaton(facts: TextFacts, excluded: readonly string[]): CharAutomaton | undefined {
    const node = this.textNode(facts, excluded);
    if (node?.kind === 'string') return node.automaton;
    if (node?.kind !== 'text') return undefined;
    if (node.min === 0 && node.max === undefined) return o.anyText();
    return this.#withLength(o.anyText(), node.min, node.max);
  }

  /** The numbers with these restrictions, without the excluded ones; undefined if there are none. */
  numberAutomaton(facts: NumberFacts, form: NumberForm, excluded: readonly number[]): CharAutomaton | undefined {
    const inside = excluded.filter((value) => value >= facts.minimum && value <= facts.maximum).sort((a, b) => a - b);
    const pieces: CharAutomaton[] = [];
    for (let index = 0; index <= inside.length; index += 1) {
      const [start, end] = [inside[index - 1], inside[index]];
      const narrowed = {
        ...facts,
        ...(start !== undefined && { minimum: start, above: true }),
        ...(end !== undefined && { maximum: end, below: true }),
      };
      const piece = this.#interval(narrowed, form === 'integer');
      if (piece) pieces.push(piece);
    }
    const all = pieces.length > 1 ? o.unite(pieces, this.#budget) : pieces[0];
    return all && form === 'fraction' ? this.#fractions(all) : all;
  }

  #fractions(numbers: CharAutomaton): CharAutomaton | undefined {
    const plain = this.#numbersOf(FRACTION, []);
    const broken = patternAutomaton('\\.\\d*[1-9]\\d*$', 'search', this.#budget);
    const some = plain && broken && o.intersect(plain, broken, this.#budget);
    return some && o.intersect(numbers, some, this.#budget);
  }

  #interval(facts: NumberFacts, integer: boolean): CharAutomaton | undefined {
    const { minimum, maximum, above, below, multiples } = facts;
    if (minimum > maximum || (minimum === maximum && (above || below))) return undefined;
    const bounds = {
      integer,
      ...(Number.isFinite(minimum) && { [above ? 'exclusiveMinimum' : 'minimum']: minimum }),
      ...(Number.isFinite(maximum) && { [below ? 'exclusiveMaximum' : 'maximum']: maximum }),
    };
    const [first, ...others] = multiples;
    let automaton = this.#numbersOf({ ...bounds, ...(first && { multipleOf: first.of }) }, first?.path ?? facts.path);
    for (const { of, path } of others) {
      const next = this.#numbersOf({ integer, multipleOf: of }, path);
      automaton = automaton && next && o.intersect(automaton, next, this.#budget);
    }
    return automaton;
  }

  #numbersOf(bounds: Parameters<typeof numberAutomaton>[0], path: Path): CharAutomaton | undefined {
    const key = JSON.stringify(bounds);
    if (this.#numbers.has(key)) return this.#numbers.get(key);
    const made = within(path, () => numberAutomaton(bounds, this.#budget));
    this.#numbers.set(key, made);
    return made;
  }

  #narrow(language: CharAutomaton | 'everything', rule: TextRule, most: number): Language {
    const own = this.#language(rule, most);
    return within(rule.path, () => {
      if (own === 'everything') return rule.banned ? undefined : language;
      if (own === undefined) return rule.banned ? language : undefined;
      if (language === 'everything') return rule.banned ? o.complement(own, this.#budget) : own;
      return (rule.banned ? o.subtract : o.intersect)(language, own, this.#budget);
    });
  }

  /** @param most characters of the longest string that is asked for */
  #language({ kind, source, path }: TextRule, most = 0): Language {
    if (kind === 'format' && this.#proofs > 0) return 'everything';
    const isLong = kind === 'format' && Number.isFinite(most) && most > SMALL_FORMAT_CHARACTERS;
    const key = `${isLong ? 'small ' : ''}${kind}:${source}`;
    const isKnown = this.#languages.has(key);
    const language = isKnown
      ? this.#languages.get(key)
      : within(path, () =>
          kind === 'pattern'
            ? patternAutomaton(source, 'search', this.#budget)
            : ((isLong ? smallFormatAutomaton : formatAutomaton)(source) ?? 'everything'),
        );
    if (!isKnown) this.#languages.set(key, language);
    if (kind === 'format' && language === 'everything') this.#ignored(path);
    return language;
  }
}

/** Bounds whose automaton spells numbers without an exponent, and with a point in at most 15 digits. */
const FRACTION = { integer: false, minimum: -1e15, maximum: 1e15 };

/** Gives the errors of an automaton the place of their keyword. */
export function within<T>(path: Path, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof GrammarError) || error.path.length > 0) throw error;
    throw new GrammarError(error.problem, path, error.message);
  }
}
