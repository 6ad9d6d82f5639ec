/**
 * Compares a tokenizer with the ids that the native library has recorded. Each function returns the inputs
 * that differ.
 */
import { definitionFields } from '../../../src/text/tokenizer/definition.ts';
import { Pipeline } from '../../../src/text/tokenizer/pipeline.ts';
import { TokenTexts } from '../../../src/text/tokenizer/token-texts.ts';
import { around, codesOf, definitionOf, digest, expected } from './families.ts';

/** A part of a table: every `step`th entry, counted from `first`. */
export interface Sample {
  readonly first: number;
  readonly step: number;
}
export const WHOLE: Sample = { first: 0, step: 1 };

export class NativeIds {
  readonly #pipeline;
  readonly #texts;
  readonly #wanted;
  readonly #sample;

  /** @param tokenizer a tokenizer.json; absent: that of the family */
  constructor(family: string, sample: Sample, tokenizer: object = definitionOf(family)) {
    const wanted = expected.families[family];
    if (!wanted) throw new Error(`There are no ids of ${family}.`);
    const definition = definitionFields.parse(tokenizer);
    this.#pipeline = Pipeline.of(definition);
    this.#texts = new TokenTexts(definition, this.#pipeline.model.vocabulary);
    this.#wanted = wanted;
    this.#sample = sample;
  }

  /** Hostile texts whose ids differ. */
  textsToIds(): string[] {
    return this.#differing(expected.texts, (text, at) => {
      const ids = this.#pipeline.encode(text, true).join(' ');
      return [ids, digest(ids)].includes(this.#wanted.texts[at]?.[0] ?? '');
    });
  }

  /** Hostile texts whose ids give another text. */
  idsToTexts(): string[] {
    return this.#differing(expected.texts, (text, at) => {
      const recorded = this.#wanted.texts[at]?.[1];
      if (recorded === '') return true;
      const ids = this.#pipeline.encode(text, true);
      const shown = ids.filter((id) => !this.#texts.isSpecial(this.#texts.tokenOf(id) ?? ''));
      return digest(this.#texts.decode(shown)) === recorded;
    });
  }

  /** Characters of which 100 kB have other ids. */
  runs(): object[] {
    const runs = this.#wanted.runs.split(' ');
    return this.#differing(expected.runs, ({ unit, times }, at) => this.#digestOf(unit.repeat(times)) === runs[at]);
  }

  /** Blocks of Unicode characters that have other ids. */
  blocks(): string[] {
    const blocks = this.#wanted.blocks.split(' ');
    return this.#differing(expected.blocks, (ranges, at) => this.#digestOf(around(codesOf(ranges))) === blocks[at]);
  }

  #digestOf(text: string): string {
    return digest(this.#pipeline.encode(text, false).join(' '));
  }

  #differing<T>(all: readonly T[], isRight: (one: T, at: number) => boolean): T[] {
    const { first, step } = this.#sample;
    return all.filter((one, at) => at % step === first % step && !isRight(one, at));
  }
}
