/** The text of a tokenizer for its thread is the JSON of its fields, whatever their sizes. */
import { expect, it } from 'vitest';
import { finished } from '../../../src/protocol/start/slices.ts';
import { readDefinition, sharedContent } from '../../../src/text/tokenizer/tokenizer-files.ts';

const textOf = (fields: Readonly<Record<string, unknown>>): string =>
  Buffer.from(finished(sharedContent(fields))).toString();

it.each([0, 1, 1023, 1024, 1025, 5000])('has all %i elements of a list and of a vocabulary', (count) => {
  const tokens = Array.from({ length: count }, (_, id) => `"${id}\n😀`);
  const list = tokens.map((text) => [text, text]);
  const fields = { model: { vocab: new Map(tokens.map((text, id) => [text, id])), merges: list }, none: null };
  expect(JSON.parse(textOf(fields))).toEqual({
    model: { vocab: Object.fromEntries(tokens.map((text, id) => [text, id])), merges: list },
    none: null,
  });
});

it('keeps tokens with the names of properties, and leaves out absent fields', () => {
  const vocab = new Map([
    ['__proto__', 0],
    ['10', 1],
    ['constructor', 2],
  ]);
  expect(textOf({ vocab, absent: undefined, empty: {}, flag: false })).toBe(
    '{"vocab":{"__proto__":0,"10":1,"constructor":2},"empty":{},"flag":false}',
  );
});

it('gives the same definition as the fields themselves', async () => {
  const stages = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null };
  const model = { type: 'BPE', merges: [['a', 'b']] };
  const vocab = { a: 0, b: 1, ab: 2 };
  const content = finished(sharedContent({ ...stages, model: { ...model, vocab: new Map(Object.entries(vocab)) } }));
  expect(await readDefinition({ tokenizerFile: 'x.gguf', content })).toMatchObject({ model: { ...model, vocab } });
});
