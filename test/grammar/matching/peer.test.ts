/** Agreement with web-xgrammar: each engine accepts the outputs of the other one, except for known differences. */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Grammar } from '../../../src/grammar/matching/grammar.ts';
import type { Json } from '../../../src/grammar/output-format.ts';
import { isOurSpelling } from '../../support/grammar/our-spelling.ts';
import { DIFFERENCES, type Difference, PEER_SCHEMAS } from '../../support/grammar/peer-schemas.ts';
import { draw, randomNumbers } from '../../support/grammar/random-tokens.ts';
import { generate, textOf } from '../../support/grammar/texts.ts';
import { PIECES, prepared, vocabularyOf } from '../../support/grammar/vocabularies.ts';
import { openPeer, type Peer, type PeerGrammar } from '../../support/grammar/web-xgrammar.ts';
import { compileSchema } from '../schema/compile-schema.ts';

/** Outputs of each engine for a schema. */
const OUTPUTS = 16;
/** Most tokens of an output of this engine, and of the peer; an output of the peer is closed after fewer, if possible. */
const [OUR_TOKENS, MAX_TOKENS, CLOSES_AFTER] = [160, 150, 25];

/** Bytes that begin overlong characters, surrogates, and characters beyond U+10FFFF: the peer writes such bytes. */
const isUnsafe = (byte: number): boolean => [0xc0, 0xc1, 0xe0, 0xed].includes(byte) || byte >= 0xf0;
const TOKENS = [
  ...Array.from({ length: 256 }, (_, byte) => Buffer.of(byte)).filter(([byte = 0]) => !isUnsafe(byte)),
  ...PIECES.map((text) => Buffer.from(text)),
];
const VOCABULARY = prepared(TOKENS.length, (id) => TOKENS[id]);
const idOf = (text: string): number => TOKENS.findIndex((token) => token.equals(Buffer.from(text)));
/** Tokens that end a string, an object, an array, and the parts of an address. */
const CLOSING = [...'"]}@.'].map(idOf);
/** Schemas of strings with a length. */
const LENGTHS = ['lengths of strings', 'many lengths'];
/** True for outputs of this engine that the peer refuses under many schemas: escapes under a length. */
const isKnownRefusal = (name: string, text: string): boolean => LENGTHS.includes(name) && text.includes('\\');

const ajv = new Ajv2020({ strict: false, validateFormats: true });
addFormats.default(ajv);

let peer: Peer;
beforeAll(async () => {
  // The package prints warnings about keywords that it ignores.
  for (const method of ['log', 'warn', 'error'] as const) vi.spyOn(console, method).mockImplementation(() => undefined);
  peer = await openPeer(VOCABULARY);
});
afterAll(() => {
  vi.restoreAllMocks();
  peer.dispose();
});

/** True if the peer accepts an output as a whole. */
async function peerAccepts(grammar: PeerGrammar, ids: readonly number[]): Promise<boolean> {
  const text = await grammar.start();
  const isAccepted = ids.every((id) => text.accept(id)) && text.end();
  text.dispose();
  return isAccepted;
}

/** Draws an output from the masks of the peer; undefined if it has no end, or is too long. */
async function peerOutput(grammar: PeerGrammar, random: () => number): Promise<number[] | undefined> {
  const text = await grammar.start();
  const ids: number[] = [];
  try {
    while (ids.length < MAX_TOKENS) {
      const allowed = await text.mask();
      const others = allowed.filter((id) => id !== peer.endId);
      const canEnd = others.length < allowed.length;
      if (canEnd && (others.length === 0 || random() < 0.3)) return ids;
      const closing = ids.length < CLOSES_AFTER ? [] : CLOSING.filter((id) => others.includes(id));
      const id = draw(random)(closing.length > 0 ? closing : others, false);
      if (id < 0) return undefined;
      expect(text.accept(id)).toBe(true);
      ids.push(id);
    }
    return undefined;
  } finally {
    text.dispose();
  }
}

function isValid(validate: ValidateFunction, text: string): boolean {
  try {
    return !text.includes('\u{FFFD}') && validate(JSON.parse(text));
  } catch {
    return false;
  }
}

/** Fails for a difference that the table lacks, and for one that the table has without a text to show it. */
function checkDifference(name: string, kind: keyof Difference, texts: readonly string[]): void {
  const reason = DIFFERENCES[name]?.[kind];
  if (reason === undefined) expect(texts, kind).toEqual([]);
  else expect(texts, `known difference: ${reason}`).not.toEqual([]);
}

describe('differences of many schemas', () => {
  test('the peer refuses escapes in a string with a length', async () => {
    const schema: Json = { type: 'string', maxLength: 1 };
    const [refused, accepted] = ['"\\n"', '"n"'];
    const other = await peer.compile(schema, 'some');
    const ours = new Grammar(compileSchema(schema), VOCABULARY);
    for (const text of [refused, accepted]) {
      const ids = [...text].map(idOf);
      expect([text, await peerAccepts(other, ids)]).toEqual([text, text === accepted]);
      expect(ours.start().allowedPrefix(ids)).toBe(ids.length);
    }
    other.dispose();
  });

  test('the peer writes bytes that are no UTF-8', async () => {
    const bytes = vocabularyOf([]);
    const other = await openPeer(bytes);
    const strings = await other.compile({ type: 'string' }, 'some');
    const text = [0x22, 0xf7, 0xbf, 0xbf, 0xbf, 0x22];
    expect(await peerAccepts(strings, text)).toBe(true);
    expect(new Grammar(compileSchema({ type: 'string' }), bytes).start().allowedPrefix(text)).toBe(1);
    strings.dispose();
    other.dispose();
  });
});

describe.each(Object.entries(PEER_SCHEMAS))('%s', (name, schema: Json) => {
  test('the peer accepts the outputs of this engine as a whole', async () => {
    const grammar = new Grammar(compileSchema(schema), VOCABULARY);
    const other = await peer.compile(schema, 'some');
    const refuses: string[] = [];
    let compared = 0;
    for (let seed = 0; seed < OUTPUTS; seed += 1) {
      const { ids, complete } = generate(grammar.start(), OUR_TOKENS, draw(randomNumbers(seed)));
      const text = textOf(ids, VOCABULARY);
      expect([text, complete]).toEqual([text, true]);
      if (isKnownRefusal(name, text)) continue;
      compared += 1;
      if (!(await peerAccepts(other, ids))) refuses.push(text);
    }
    other.dispose();
    checkDifference(name, 'refuses', refuses);
    expect(compared).toBeGreaterThan(OUTPUTS / 3);
  });

  test('this engine accepts the outputs of the peer that are valid and spelled as its own', async () => {
    const grammar = new Grammar(compileSchema(schema), VOCABULARY);
    const validate = ajv.compile(schema as object);
    const other = await peer.compile(schema, 'one');
    const found: Record<'writesNone' | 'invalid' | 'narrower' | 'accepted', string[]> = {
      writesNone: [],
      invalid: [],
      narrower: [],
      accepted: [],
    };
    for (let seed = 0; seed < OUTPUTS; seed += 1) {
      const ids = await peerOutput(other, randomNumbers(100 + seed));
      // Bytes that are no UTF-8 become U+FFFD, which is no token.
      const text = ids && Buffer.concat(ids.map((id) => VOCABULARY.bytesOf(id))).toString();
      if (text === undefined) found.writesNone.push('');
      else if (!isValid(validate, text)) found.invalid.push(text);
      else if (isOurSpelling(schema, text)) {
        const matcher = grammar.start();
        const isAccepted = ids?.every((id) => matcher.accept(id)) && matcher.accepts;
        found[isAccepted ? 'accepted' : 'narrower'].push(text);
      }
    }
    other.dispose();
    for (const kind of ['writesNone', 'invalid', 'narrower'] as const) checkDifference(name, kind, found[kind]);
    if (found.writesNone.length + found.invalid.length === 0)
      expect(found.accepted.length).toBeGreaterThan(OUTPUTS / 3);
  });
});
