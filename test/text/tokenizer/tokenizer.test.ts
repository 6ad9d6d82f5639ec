/** The tokenizer of a model: encoding, decoding, opening. */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { LOOP_UNITS, Tokenizer } from '../../../src/text/tokenizer/tokenizer.ts';
import { builtThread, HAIKU_VOCABULARY, haikuFiles, sentencePiece, writeTokenizer } from './small-tokenizers.ts';

let haiku: Tokenizer;
beforeAll(async () => {
  haiku = await Tokenizer.open(haikuFiles);
});

describe('encoding', () => {
  it('adds special tokens only on request', async () => {
    const bare = await haiku.encode('the sea', { addSpecialTokens: false });
    expect(await haiku.encode('the sea', { addSpecialTokens: true })).toEqual([0, ...bare]);
    expect(await haiku.encode('', { addSpecialTokens: false })).toEqual([]);
  });

  it('gives ids of the vocabulary for any text, even with lone surrogates', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary' }), fc.constantFrom('', '\uD83D', '\uDE00'), async (text, half) => {
        for (const id of await haiku.encode(text + half, { addSpecialTokens: true })) {
          expect(Number.isInteger(id) && id >= 0 && id < HAIKU_VOCABULARY).toBe(true);
        }
      }),
    );
  });

  it('encodes characters that a SentencePiece vocabulary lacks as bytes', async () => {
    const { tokenizer, idOf } = await sentencePiece();
    const ids = await tokenizer.encode('abc €', { addSpecialTokens: false });
    expect(ids).toEqual(['▁abc', '▁', '<0xE2>', '<0x82>', '<0xAC>'].map(idOf));
    expect(tokenizer.decode(ids)).toBe('abc €');
  });

  it('leaves out unknown characters if the vocabulary has no unknown token', async () => {
    const files = await writeTokenizer({
      added_tokens: [],
      normalizer: null,
      pre_tokenizer: null,
      post_processor: null,
      decoder: null,
      model: { type: 'BPE', unk_token: null, vocab: { a: 0, b: 1 }, merges: [] },
    });
    const tokenizer = await Tokenizer.open(files);
    expect(await tokenizer.encode('axb', { addSpecialTokens: false })).toEqual([0, 1]);
  });

  it("rejects with the signal's reason after an abort", async () => {
    const signal = AbortSignal.abort(new Error('gone'));
    await expect(haiku.encode('the sea', { addSpecialTokens: false, signal })).rejects.toThrow('gone');
  });
});

describe('decoding', () => {
  it('of nothing, of special tokens and of ids beyond the vocabulary is empty', () => {
    expect([[], [0], [1, 2, 3, 4], [HAIKU_VOCABULARY, 99_999, -1]].map((ids) => haiku.decode(ids))).toEqual([
      '',
      '',
      '',
      '',
    ]);
  });

  it('keeps spaces before punctuation', async () => {
    const text = "do n't , stop . it 's";
    expect(haiku.decode(await haiku.encode(text, { addSpecialTokens: true }))).toBe(text);
  });
});

describe('tokens of other files', () => {
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  const note = { ...flags, id: 1_000, content: '<note>', special: true };
  /** `<|end|>` of tokenizer.json, with other flags. */
  const end = { ...flags, id: 3, content: '<|end|>', special: false, lstrip: true };
  const text = 'sea<note>sea <|end|>';

  it('are found in short texts on the event loop and in long texts on the thread', async () => {
    const tokenizer = await Tokenizer.open(haikuFiles, { addedTokens: [note, end], threadEntry: builtThread });
    const options = { addSpecialTokens: false };
    const [sea] = await tokenizer.encode('sea', options);
    const ids = await tokenizer.encode(text, options);
    expect(ids).toEqual([...(await haiku.encode('sea', options)), 1_000, ...(await haiku.encode('sea', options)), 3]);
    const long = await tokenizer.encode(text.repeat(LOOP_UNITS), options);
    expect(long.slice(0, 2 * ids.length)).toEqual([...ids, ...ids]);
    expect([1_000, 3, sea ?? -1, 2_000].map((id) => tokenizer.specialText(id))).toEqual([
      '<note>',
      undefined,
      undefined,
      undefined,
    ]);
    expect(tokenizer.decode([1_000, 3])).toBe('<|end|>');
    await tokenizer.close();
  });
});

describe('opening', () => {
  it('names the file that is missing, is not JSON, or has an unsupported part', async () => {
    const files = await writeTokenizer({
      added_tokens: [],
      model: {},
      decoder: null,
      post_processor: null,
      pre_tokenizer: null,
      normalizer: null,
    });
    await expect(Tokenizer.open(files)).rejects.toThrow(/^tokenizer\.json cannot be used/);
    await expect(Tokenizer.open({ tokenizerFile: `${haikuFiles.tokenizerFile}.gone` })).rejects.toThrow(
      /^tokenizer\.json\.gone cannot be used/,
    );
    await expect(Tokenizer.open({ ...haikuFiles, tokenizerFile: import.meta.filename })).rejects.toThrow(
      /tokenizer\.test\.ts cannot be used/,
    );
  });
});
