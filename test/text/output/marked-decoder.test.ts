/** Special tokens that mark parts of an output are shown, with exact spaces; all others stay hidden. */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { Detokenizer } from '../../../src/text/output/detokenizer.ts';
import { markedDecoder } from '../../../src/text/output/marked-decoder.ts';
import { Tokenizer } from '../../../src/text/tokenizer/tokenizer.ts';
import { haikuFiles, halves, metaspace, type Small, sentencePiece, wordPiece } from '../tokenizer/small-tokenizers.ts';

let haiku: Tokenizer;
let small: Readonly<Record<'sentencePiece' | 'metaspace' | 'wordPiece' | 'halves', Small>>;
beforeAll(async () => {
  haiku = await Tokenizer.open(haikuFiles);
  small = {
    sentencePiece: await sentencePiece(),
    metaspace: await metaspace(),
    wordPiece: await wordPiece(),
    halves: await halves(),
  };
});

/** One special token of each tokenizer as the marker. */
const MARKERS = { sentencePiece: ['<s>'], metaspace: ['<pad>'], wordPiece: ['[SEP]'], halves: ['<|end|>'] } as const;

describe('a marked decoder', () => {
  it.each(Object.entries(MARKERS))('of %s gives the same text for every division of the ids', (name, markers) => {
    const { tokenizer, ids } = small[name as keyof typeof MARKERS];
    const decoder = markedDecoder(tokenizer, markers);
    fc.assert(
      fc.property(fc.array(fc.nat(ids), { maxLength: 40 }), (list) => {
        const detokenizer = new Detokenizer(decoder);
        const text = list.map((id) => detokenizer.push(id)).join('') + detokenizer.flush();
        expect(text).toBe(decoder.decode(list));
      }),
      { numRuns: 300 },
    );
  });

  it('shows the special tokens of the markers, and no others', async () => {
    const { tokenizer, idOf } = small.sentencePiece;
    const ids = ['<s>', '▁a', '</s>', 'b'].map(idOf);
    expect(markedDecoder(tokenizer, ['<s>', 'x']).decode(ids)).toBe('<s> ab');
    expect(markedDecoder(tokenizer, ['</s>']).decode(ids)).toBe('a</s>b');
    expect(tokenizer.decode(ids)).toBe('ab');
  });

  it('keeps a space behind a marker, and one between two markers', () => {
    const { tokenizer, idOf } = small.sentencePiece;
    const ids = ['▁a', '<s>', '▁', 'b', '<s>', '▁▁', 'c'].map(idOf);
    const detokenizer = new Detokenizer(markedDecoder(tokenizer, ['<s>']));
    expect(ids.map((id) => detokenizer.push(id))).toEqual(['a', '<s>', ' ', 'b', '<s>', '  ', 'c']);
  });

  it('shows a special token that is a part of a marker', () => {
    const { tokenizer } = small.halves;
    const decoder = markedDecoder(tokenizer, ['<|end|>thought']);
    expect(decoder.isVisible(12)).toBe(true);
    expect(decoder.decode([4, 12, 4])).toBe('a<|end|>a');
  });

  it('shows the special tokens of the embedded model', () => {
    const [id, text] = [...haiku.specialTokens][0]!;
    const words = [40, 41];
    expect(markedDecoder(haiku, [text]).decode([...words, id, ...words])).toBe(
      haiku.decode(words) + text + haiku.decode(words),
    );
  });

  it('is the tokenizer itself if no special token is a marker', () => {
    expect(markedDecoder(haiku, [])).toBe(haiku);
    expect(markedDecoder(haiku, ['<no-such-token>'])).toBe(haiku);
  });

  it('is made once for a list of markers', () => {
    const markers = [...haiku.specialTokens.values()];
    expect(markedDecoder(haiku, markers)).toBe(markedDecoder(haiku, markers));
    expect(markedDecoder(haiku, markers)).not.toBe(haiku);
  });
});
