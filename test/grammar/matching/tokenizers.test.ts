/**
 * Masks with the vocabularies of real tokenizers: byte-level, SentencePiece with byte fallback, and SentencePiece
 * without bytes. The masks equal a trial of each id, and decoding gives the text that the grammar has accepted.
 */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Budget } from '../../../src/grammar/budget.ts';
import { addFormat } from '../../../src/grammar/compile.ts';
import { GrammarError } from '../../../src/grammar/grammar-error.ts';
import { Grammar } from '../../../src/grammar/matching/grammar.ts';
import type { Matcher } from '../../../src/grammar/matching/matcher.ts';
import { Vocabulary } from '../../../src/grammar/matching/vocabulary.ts';
import type { Json, OutputFormat } from '../../../src/grammar/output-format.ts';
import type { Program } from '../../../src/grammar/program.ts';
import { ProgramBuilder } from '../../../src/grammar/program-builder.ts';
import { Detokenizer } from '../../../src/text/output/detokenizer.ts';
import { GrammarVocabulary } from '../../../src/text/tokenizer/grammar-vocabulary.ts';
import { randomDocument } from '../../support/grammar/random-schemas.ts';
import { draw, randomNumbers } from '../../support/grammar/random-tokens.ts';
import { SCHEMAS } from '../../support/grammar/schemas.ts';
import { generate, idsOf } from '../../support/grammar/texts.ts';
import { byteFallback, byteLevel, type Family, haiku, unigram } from '../../support/grammar/tokenizers.ts';
import { vocabularyOf } from '../../support/grammar/vocabularies.ts';
import { compileSchema } from '../schema/compile-schema.ts';

const FAMILIES: Readonly<Record<string, () => Promise<Family>>> = {
  'byte-level, the embedded model': haiku,
  'byte-level': byteLevel,
  'SentencePiece with byte fallback': () => byteFallback(false),
  'SentencePiece with byte fallback, first space stripped': () => byteFallback(true),
  'SentencePiece without bytes': unigram,
};
/** Texts of each schema, and tokens of a text whose masks are tried. */
const [ROUNDS, STEPS] = [1, 20];
const OUTPUTS = 8;
const RANDOM_SCHEMAS = 40;

/** Its tokens are the bytes by themselves. */
const BYTES = vocabularyOf([]);
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const ajv = new Ajv2020({ strict: false, validateFormats: true });
addFormats.default(ajv);

function compileFormat(format: OutputFormat): Program {
  const builder = new ProgramBuilder(new Budget(() => 0));
  return builder.program(addFormat(builder, format, {}));
}

/** True if some text of UTF-8 has these bytes in it. */
function occursInText(bytes: Uint8Array): boolean {
  const starts = ['', 'c3', 'e4', 'e4b8', 'e0', 'ed', 'f0', 'f09f', 'f09f98', 'f1', 'f180', 'f18080', 'f4', 'f48f'];
  const ends = ['', '80', '8080', '808080', 'a0', 'a080', '90', '9080', '908080'];
  return starts.some((start) =>
    ends.some((end) => {
      const text = Buffer.concat([Buffer.from(start, 'hex'), bytes, Buffer.from(end, 'hex')]);
      return Buffer.from(text.toString('utf8')).equals(text);
    }),
  );
}

describe.each(Object.keys(FAMILIES))('%s', (name) => {
  let family: Family;
  let vocabulary: Vocabulary;
  beforeAll(async () => {
    family = await (FAMILIES[name] ?? haiku)();
    vocabulary = new Vocabulary(await new GrammarVocabulary(family.tokenizer, family.ids).get());
  });
  afterAll(() => family.tokenizer.close());

  /** The text that some ids mean. */
  const meant = (ids: readonly number[]): string =>
    decoder.decode(Uint8Array.from(ids.flatMap((id) => [...(family.bytesOf(id) ?? [])])));

  /** Ids of a prompt: an output of a form continues it (src/jobs/prompt.ts). */
  const prompt = (): number[] => [family.idOf('a')];

  /** The pieces of a stream, as one text. */
  const streamed = (ids: readonly number[]): string => {
    const detokenizer = new Detokenizer(family.tokenizer, prompt());
    return ids.map((id) => detokenizer.push(id)).join('') + detokenizer.flush();
  };

  test('the bytes of each id are those that it means; special and empty tokens have none', () => {
    for (let id = 0; id < family.ids; id += 1)
      expect([id, ...vocabulary.bytesOf(id)]).toEqual([id, ...(family.bytesOf(id) ?? [])]);
    expect([...family.tokenizer.specialTokens.keys()].filter((id) => vocabulary.bytesOf(id).length > 0)).toEqual([]);
  });

  test('each id that a text can have is drawn, and decoding after a text adds the bytes of the ids', () => {
    const grammar = new Grammar(compileFormat({ kind: 'regex', pattern: '[^]*' }), vocabulary);
    const random = randomNumbers(3);
    const times = new Array<number>(family.ids).fill(0);
    const isPossible = Array.from(times, (_, id) => occursInText(family.bytesOf(id) ?? Uint8Array.of(0xff)));
    for (let round = 0; round < 120 && isPossible.some((possible, id) => possible && !times[id]); round += 1) {
      const { ids, complete } = generate(grammar.start(), 40, (allowed) => {
        const least = Math.min(...allowed.map((id) => times[id] ?? 0));
        const rare = allowed.filter((id) => times[id] === least);
        return rare[Math.floor(random() * rare.length)] ?? -1;
      });
      for (const id of ids) times[id] = (times[id] ?? 0) + 1;
      expect(complete).toBe(true);
      expect(family.tokenizer.decode([...prompt(), ...ids])).toBe(`a${meant(ids)}`);
      expect(streamed(ids)).toBe(meant(ids));
    }
    expect(times.map((count) => count > 0)).toEqual(isPossible);
  });

  test('an output keeps the spaces that its form begins with', () => {
    const grammar = new Grammar(compileFormat({ kind: 'choice', choices: [' a', '  ab', ' id', 'a b'] }), vocabulary);
    const texts = Array.from({ length: 40 }, (_, seed) => generate(grammar.start(), 9, draw(randomNumbers(seed))));
    for (const { ids } of texts) expect(streamed(ids)).toBe(meant(ids));
    expect(new Set(texts.map(({ ids }) => streamed(ids)))).toEqual(new Set([' a', '  ab', ' id', 'a b']));
  });

  /** The ids whose bytes the grammar allows one by one. */
  const allowedByBytes = (bytes: Matcher): number[] =>
    Array.from({ length: family.ids }, (_, id) => id).filter((id) => {
      const text = family.bytesOf(id);
      return text !== undefined && bytes.allowedPrefix([...text]) === text.length;
    });

  /** Checks the mask of a place, and returns its ids. */
  function checkedMask(matcher: Matcher, bytes: Matcher): readonly number[] {
    const ids = idsOf(matcher.mask());
    const allowed = allowedByBytes(bytes);
    const inTurn = allowed.filter((id) => matcher.allowedPrefix([id]) === 1);
    if (ids.length !== 1) expect(ids).toEqual(allowed);
    else {
      // A text without an alternative: the longest of its beginnings.
      const longest = Buffer.from(family.bytesOf(ids[0] ?? -1) ?? []).toString('latin1');
      for (const id of allowed)
        expect(longest.startsWith(Buffer.from(family.bytesOf(id) ?? []).toString('latin1'))).toBe(true);
    }
    expect(inTurn).toEqual(ids);
    return ids;
  }

  describe.each(Object.entries(SCHEMAS))('%s', (_, schema: Json) => {
    test.each([['listed'], ['any']] as const)('masks equal trials, order %s', (order) => {
      const program = { ...compileSchema(schema), ...(order === 'any' && { anyOrder: true as const }) };
      const [grammar, byBytes] = [new Grammar(program, vocabulary, 64), new Grammar(program, BYTES)];
      const random = randomNumbers(order === 'any' ? 7 : 11);
      for (let round = 0; round < ROUNDS; round += 1) {
        const [matcher, bytes] = [grammar.start(), byBytes.start()];
        for (let step = 0; step < STEPS && !matcher.finished; step += 1) {
          const id = draw(random)(checkedMask(matcher, bytes), false);
          if (id < 0) break;
          expect(matcher.accept(id)).toBe(true);
          for (const byte of family.bytesOf(id) ?? []) expect(bytes.accept(byte)).toBe(true);
          expect([matcher.accepts, matcher.finished]).toEqual([bytes.accepts, bytes.finished]);
        }
      }
    });
  });

  /** Checks that random outputs decode to the accepted text, which is JSON and valid. */
  function checkOutputs(program: Program, validate: ValidateFunction, outputs: number): void {
    const grammar = new Grammar(program, vocabulary);
    for (let seed = 0; seed < outputs; seed += 1) {
      const { ids, complete } = generate(grammar.start(), 200 + 10 * seed, draw(randomNumbers(seed)));
      const text = streamed(ids);
      expect({ text, complete }).toEqual({ text: meant(ids), complete: true });
      const value = JSON.parse(text) as unknown;
      expect({ text, valid: validate(value), errors: validate.errors }).toEqual({ text, valid: true, errors: null });
    }
  }

  test('decoded outputs are JSON and valid', () => {
    for (const schema of Object.values(SCHEMAS))
      checkOutputs(compileSchema(schema), ajv.compile(schema as object), OUTPUTS);
  });

  test('decoded outputs of random schemas are JSON and valid', () => {
    const lenient = new Ajv2020({ strict: false, validateSchema: false, multipleOfPrecision: 9 });
    let checked = 0;
    for (let round = 0; round < RANDOM_SCHEMAS; round += 1) {
      const schema = randomDocument();
      try {
        checkOutputs(compileSchema(schema), lenient.compile(schema), 3);
        checked += 1;
      } catch (error) {
        if (!(error instanceof GrammarError)) throw error;
      }
    }
    expect(checked).toBeGreaterThan(RANDOM_SCHEMAS / 3);
  });
});
