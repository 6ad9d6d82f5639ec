/** Files that are too deep, too repetitive or too long end with an error or with an answer, not with a crash. */
import { readFile, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { Tokenizer } from '../../../src/text/tokenizer/tokenizer.ts';
import { definitionOf } from './families.ts';
import { builtThread, writeTokenizer } from './small-tokenizers.ts';

const plain = { addSpecialTokens: false } as const;
const gpt2 = definitionOf('gpt2') as Record<string, object>;
const open = async (parts: object): Promise<Tokenizer> =>
  Tokenizer.open(await writeTokenizer({ ...gpt2, ...parts }), { threadEntry: builtThread });

const DEPTH = 20_000;
/** Writes sequences in sequences, as text: `JSON.stringify` cannot go so deep. */
async function openNested(field: string, kind: string, part: object): Promise<Tokenizer> {
  const files = await writeTokenizer({ ...gpt2, [field]: 'here' });
  const whole = `${`{"type":"Sequence","${kind}":[`.repeat(DEPTH)}${JSON.stringify(part)}${']}'.repeat(DEPTH)}`;
  const text = await readFile(files.tokenizerFile, 'utf8');
  await writeFile(files.tokenizerFile, text.replace(`"${field}":"here"`, `"${field}":${whole}`));
  return Tokenizer.open(files, { threadEntry: builtThread });
}

describe(`sequences ${DEPTH} deep`, () => {
  it.each([
    ['normalizer', 'normalizers', { type: 'NFC' }],
    ['pre_tokenizer', 'pretokenizers', { type: 'ByteLevel', add_prefix_space: false }],
    ['post_processor', 'processors', { type: 'ByteLevel' }],
    ['decoder', 'decoders', { type: 'ByteLevel' }],
  ])('of the %s: the file is refused by its name', async (field, kind, part) => {
    await expect(openNested(field, kind, part)).rejects.toThrow(/^tokenizer\.json cannot be used: /);
  });
});

it('a decoder that strips 10¹⁵ characters strips those that are there', async () => {
  const decoder = {
    type: 'Sequence',
    decoders: [{ type: 'ByteLevel' }, { type: 'Strip', content: 't', start: 1e15, stop: 1e15 }],
  };
  const tokenizer = await open({ decoder });
  expect(tokenizer.decode(await tokenizer.encode('ttthe seattt', plain))).toBe('he sea');
});

it('ids far beyond the vocabulary do no harm', async () => {
  const tokenizer = await open({ added_tokens: [{ id: 2 ** 52, content: '<far>' }] });
  expect(await tokenizer.encode('<far>', plain)).toEqual([2 ** 52]);
});
