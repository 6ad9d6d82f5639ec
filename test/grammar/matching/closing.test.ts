/** Masks near the limit of tokens, which complete the text in time; masks that are not computed; memory. */
import { expect, test } from 'vitest';
import { Automaton } from '../../../src/grammar/matching/automaton.ts';
import { Grammar } from '../../../src/grammar/matching/grammar.ts';
import { Masks } from '../../../src/grammar/matching/masks.ts';
import { type Machine, Matcher } from '../../../src/grammar/matching/matcher.ts';
import { WrittenNames } from '../../../src/grammar/matching/names/written-names.ts';
import type { Json } from '../../../src/grammar/output-format.ts';
import { draw, randomNumbers } from '../../support/grammar/random-tokens.ts';
import { generate, idsOf, textOf } from '../../support/grammar/texts.ts';
import { PIECES, vocabularyOf } from '../../support/grammar/vocabularies.ts';
import { compileSchema } from '../schema/compile-schema.ts';

const NAMES = ['identifier_of_the_station', 'name_of_the_station', 'name_of_the_operator'];
/** Three strings behind long names. */
const STATION: Json = {
  type: 'object',
  properties: Object.fromEntries(NAMES.map((name) => [name, { type: 'string' }])),
  required: NAMES,
  additionalProperties: false,
};
const SCHEMAS: readonly Json[] = [
  STATION,
  { type: 'array', items: { type: 'string', minLength: 5 }, minItems: 4 },
  { type: 'object', additionalProperties: { type: ['string', 'null', 'integer'] }, minProperties: 2 },
  { type: 'array', items: { enum: ['one', 'two', 'three hundred'] }, minItems: 1 },
];
const VOCABULARY = vocabularyOf([...PIECES, ...NAMES, ...NAMES.map((name) => `","${name}":"`), 'letters of a word']);

test('a mask is the same if the grammar has seen other texts and limits', () => {
  for (const schema of SCHEMAS) {
    const program = compileSchema(schema);
    const grammar = new Grammar(program, VOCABULARY);
    const random = randomNumbers(5);
    for (let seed = 0; seed < 3; seed += 1) {
      const { ids } = generate(grammar.start(), 40, draw(randomNumbers(seed)));
      const matcher = grammar.start();
      for (const [index, id] of ids.entries()) {
        const lefts = [39 - index, ...Array.from({ length: 6 }, () => Math.floor(random() * 50))];
        const other = new Grammar(program, VOCABULARY);
        for (const left of lefts) {
          const fresh = other.start();
          for (const before of ids.slice(0, index)) fresh.accept(before);
          expect(idsOf(matcher.mask(left))).toEqual(idsOf(fresh.mask(left)));
        }
        matcher.accept(id);
      }
    }
  }
});

test('a mask near the limit serves other texts, and other limits for which it is the same', () => {
  const grammar = new Grammar(compileSchema({ type: 'array', items: { type: 'string' } }), VOCABULARY);
  const within = (text: string) => {
    const matcher = grammar.start();
    for (const byte of Buffer.from(text)) matcher.accept(byte);
    return matcher;
  };
  const near = within('["a').mask(4);
  expect(idsOf(near)).not.toEqual(idsOf(within('["a').mask()));
  expect(within('["long').mask(4)).toBe(near);
  expect(within('["longer').mask(5)).toBe(near);
});

test('a string goes on while the tokens of the rest fit, though its bytes do not', () => {
  const program = compileSchema(STATION);
  const matcher = new Grammar(program, VOCABULARY).start();
  for (const byte of Buffer.from(`{"${NAMES[0]}":"`)) expect(matcher.accept(byte)).toBe(true);
  const letters = VOCABULARY.data.size - 1;
  expect(textOf([letters], VOCABULARY)).toBe('letters of a word');
  // 54 bytes lead to the end, in few tokens.
  expect(idsOf(matcher.mask(25))).toContain(letters);
  expect(idsOf(matcher.mask(3))).not.toContain(letters);
});

test('a text that has the tokens of its shortest form is completed', () => {
  for (const schema of SCHEMAS) {
    const grammar = new Grammar(compileSchema(schema), VOCABULARY);
    for (let maxTokens = 30; maxTokens < 60; maxTokens += 3)
      for (let seed = 0; seed < 8; seed += 1) {
        const { ids, complete } = generate(grammar.start(), maxTokens, draw(randomNumbers(seed)));
        expect(complete, `${maxTokens} ${seed} ${textOf(ids, VOCABULARY)}`).toBe(true);
      }
  }
});

test('a draft needs no masks of places with a choice', () => {
  const automaton = new Automaton(compileSchema({ type: 'array', items: { enum: ['abc', 'abd', 'x'] }, maxItems: 9 }));
  const masks = new Masks(automaton, VOCABULARY);
  const grammar = { vocabulary: VOCABULARY, withRoom: (machine: Machine, state: number) => ({ machine, state }) };
  const matcher = new Matcher(grammar, {
    machine: { automaton, masks },
    state: automaton.start,
    names: WrittenNames.NONE,
  });
  expect(matcher.accept('['.charCodeAt(0)) && matcher.accept('"'.charCodeAt(0))).toBe(true);
  expect(matcher.allowedPrefix(['x'.charCodeAt(0)])).toBe(1);
  expect(masks.bytes).toBe(0);
  // The letter behind a has no alternative, so its token is the longest one.
  expect(matcher.allowedPrefix([...'abe'].map((letter) => letter.charCodeAt(0)))).toBe(2);
});

test('the memory of a grammar counts the members that its objects had', () => {
  const names = Array.from({ length: 1_000 }, (_, index) => `name ${index}`);
  const written = names.slice(0, 100);
  const [few = 0, many = 0] = [written, names].map((listed) => {
    const schema = { type: 'object', properties: Object.fromEntries(listed.map((name) => [name, true])) };
    const grammar = new Grammar(compileSchema({ ...schema, additionalProperties: false }), VOCABULARY);
    const matcher = grammar.start();
    for (const byte of Buffer.from(`{${written.map((name) => `"${name}":1`)}}`))
      expect(matcher.accept(byte)).toBe(true);
    return grammar.bytes;
  });
  // A flag and a number for each of 900 more members, after each of 100 members.
  expect(many - few).toBeGreaterThan(100 * 900 * 5);
});
