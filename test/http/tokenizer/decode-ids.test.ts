/** Ids are decoded in turns, and give the text of one call of the decoder. */
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { decodeIds, IDS_PER_TURN } from '../../../src/http/tokenizer/decode-ids.ts';
import type { LoadedModel } from '../../../src/lifecycle/load-model.ts';
import type { Decoder } from '../../../src/text/output/detokenizer.ts';
import { decoderOf } from '../../../src/text/tokenizer/stages/decoders.ts';
import { haikuText } from '../../support/haiku-text.ts';

const never = new AbortController().signal;
let model: LoadedModel;
beforeAll(async () => {
  model = await haikuText();
});

describe('the text of the ids', () => {
  test('of the embedded model is that of one call, for every order of ids', async () => {
    const { complete } = model.tokenizer;
    const ids = fc.array(fc.nat(1023), { maxLength: 4 * IDS_PER_TURN });
    await fc.assert(
      fc.asyncProperty(ids, async (some) => {
        expect(await decodeIds(some, complete, never)).toBe(complete.decode(some));
      }),
    );
  });

  const space = { type: 'Strip', content: ' ', start: 1, stop: 0 };
  test.each([
    ['Metaspace', { type: 'Metaspace', replacement: '▁' }, ['▁a', 'b', '▁', '▁▁c']],
    [
      'ByteFallback',
      { type: 'Sequence', decoders: [{ type: 'ByteFallback' }, { type: 'Fuse' }, space] },
      [' a', '<0xF0>', '<0x9F>', '<0x90>', '<0x9D>', ' '],
    ],
    ['WordPiece', { type: 'WordPiece', prefix: '##', cleanup: true }, ['a', '##b', '.', "'", 's']],
    ['BPEDecoder', { type: 'BPEDecoder', suffix: '</w>' }, ['a</w>', 'b', 'c</w>']],
    ['none', null, ['a', 'b']],
  ])('of the decoder %s is that of one call', async (_, definition, tokens) => {
    const decode = decoderOf(definition);
    const textOf = (ids: readonly number[]): string => decode(ids.map((id) => tokens[id] ?? '')).join('');
    const decoder: Decoder = { isVisible: () => true, decode: (ids) => (ids.length === 0 ? '' : textOf(ids)) };
    const ids = fc.array(fc.nat(tokens.length - 1), { minLength: IDS_PER_TURN - 2, maxLength: 3 * IDS_PER_TURN });
    await fc.assert(
      fc.asyncProperty(ids, async (some) => {
        expect(await decodeIds(some, decoder, never)).toBe(decoder.decode(some));
      }),
      { numRuns: 30 },
    );
  });
});

test('a signal ends the work between two turns', async () => {
  const leaving = new AbortController();
  const reason = new Error('left');
  const work = decodeIds(Array(100 * IDS_PER_TURN).fill(7), model.tokenizer.complete, leaving.signal);
  leaving.abort(reason);
  await expect(work).rejects.toBe(reason);
});
