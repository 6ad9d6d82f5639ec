/** The pieces of text and tokens that a request sends, with stop strings. */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import type { TokenReport } from '../../../src/protocol/messages.ts';
import { OutputText, type Piece } from '../../../src/text/output/output-text.ts';
import { StopMatcher } from '../../../src/text/output/stop-strings.ts';
import { Tokenizer } from '../../../src/text/tokenizer/tokenizer.ts';
import { HAIKU_VOCABULARY, haikuFiles } from '../tokenizer/small-tokenizers.ts';

let haiku: Tokenizer;
beforeAll(async () => {
  haiku = await Tokenizer.open(haikuFiles);
});

const reports = (ids: readonly number[]): TokenReport[] => ids.map((id, at) => ({ id, logprob: -at }));

function all(words: OutputText, tokens: readonly TokenReport[]): { pushed: Piece[]; last: Piece | undefined } {
  const pushed = tokens.map((token) => words.push(token)).filter((piece) => piece !== undefined);
  return { pushed, last: words.flush() };
}

describe('the pieces of a request', () => {
  it('contain the text up to the stop string, and each token at most once, in order', () => {
    const ids = fc.array(fc.nat(HAIKU_VOCABULARY), { maxLength: 40 });
    const stops = fc.array(fc.oneof(fc.string({ minLength: 1, maxLength: 3 }), fc.constantFrom('e', 'th', ' s')), {
      maxLength: 4,
    });
    fc.assert(
      fc.property(ids, stops, (given, list) => {
        const tokens = reports(given);
        const words = new OutputText(haiku, list);
        const { pushed, last } = all(words, tokens);
        const whole = new StopMatcher(list);
        const expected = whole.push(haiku.decode(given));
        const pieces = last === undefined ? pushed : [...pushed, last];
        expect(pieces.map(({ text }) => text).join('')).toBe(expected.text + whole.flush());
        expect(words.stopped).toBe(expected.matched);
        for (const piece of pieces) expect(piece.text).not.toBe('');
        for (const piece of pushed) expect(piece.tokens.length).toBeGreaterThan(0);
        const ridden = pieces.flatMap((piece) => piece.tokens);
        expect(ridden).toEqual(tokens.filter((token) => ridden.includes(token)));
      }),
      { numRuns: 1_000 },
    );
  });

  it('report every token that has text if nothing stops them', async () => {
    const ids = await haiku.encode('The moon😀 is é low', { addSpecialTokens: false });
    const tokens = reports(ids);
    const { pushed, last } = all(new OutputText(haiku, []), tokens);
    expect(pushed.flatMap((piece) => piece.tokens)).toEqual(tokens);
    expect(last).toBeUndefined();
    const emoji = pushed.find(({ text }) => text === '😀');
    expect(emoji?.tokens).toHaveLength((await haiku.encode('😀', { addSpecialTokens: false })).length);
  });

  it('report a special token with the next word', async () => {
    const [end, ...word] = [3, ...(await haiku.encode('a', { addSpecialTokens: false }))];
    const words = new OutputText(haiku, []);
    expect(words.push({ id: end! })).toBeUndefined();
    expect(words.push({ id: word[0]! })).toEqual({ text: 'a', tokens: [{ id: end }, { id: word[0] }] });
  });
});

describe('a stop string', () => {
  it('ends the text; its tokens are not reported', async () => {
    const ids = await haiku.encode('moonQXZ and more', { addSpecialTokens: false });
    const words = new OutputText(haiku, ['QXZ']);
    const { pushed, last } = all(words, reports(ids));
    expect(pushed.map(({ text }) => text).join('')).toBe('moon');
    expect(haiku.decode(pushed.flatMap((piece) => piece.tokens.map(({ id }) => id)))).toBe('moon');
    expect(words.stopped).toBe('QXZ');
    expect(last).toBeUndefined();
    expect(words.push({ id: ids[0]! })).toBeUndefined();
  });

  it('that is incomplete when the sequence ends is emitted', async () => {
    const ids = await haiku.encode('Q', { addSpecialTokens: false });
    const words = new OutputText(haiku, ['QX']);
    expect(words.push({ id: ids[0]! })).toBeUndefined();
    expect(words.flush()).toEqual({ text: 'Q', tokens: [{ id: ids[0] }] });
    expect(words.flush()).toBeUndefined();
    expect(words.stopped).toBeUndefined();
  });

  it('may be completed by the last, unfinished character', () => {
    const words = new OutputText(haiku, ['\u{FFFD}']);
    const [half] = [...haikuHalf()];
    expect(words.push({ id: half! })).toBeUndefined();
    expect(words.flush()).toBeUndefined();
    expect(words.stopped).toBe('\u{FFFD}');
  });
});

/** Ids of the embedded vocabulary that are half a character. */
function* haikuHalf(): Generator<number> {
  for (let id = 5; id < HAIKU_VOCABULARY; id += 1) if (haiku.decode([id]) === '\u{FFFD}') yield id;
}
