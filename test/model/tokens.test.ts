/** Tokens that several files of a model state: the merged tokens, the differences, the refusals. */
import { describe, expect, it } from 'vitest';
import { locateModel } from '../../src/model/locate.ts';
import { MAX_DIFFERENCES, type ModelTokens } from '../../src/model/spec/merged-tokens.ts';
import type { MergedToken } from '../../src/model/spec/token-flags.ts';
import { readSpec } from '../../src/model/spec.ts';
import { CONFIG, type Files, modelFolder, problemsIn } from './folders.ts';

const OFF = { single_word: false, lstrip: false, rstrip: false } as const;
const entry = (id: number, content: string, flags: object = {}): MergedToken => ({
  id,
  content,
  ...OFF,
  normalized: false,
  special: true,
  ...flags,
});
/** Ids 0 to 3 are in the vocabulary; `<user>` is an added token beyond it. */
const TOKENIZER = {
  added_tokens: [entry(2, '</s>'), entry(4, '<user>')],
  model: { type: 'BPE', vocab: { a: 0, '<s>': 1, '</s>': 2, '!': 3 }, merges: [] },
};
const UNIGRAM = {
  ...TOKENIZER,
  model: { type: 'Unigram', vocab: Object.keys(TOKENIZER.model.vocab).map((text) => [text, -1]) },
};

async function tokensOf(files: Files): Promise<ModelTokens> {
  const folder = await modelFolder({ 'tokenizer.json': TOKENIZER, ...files });
  return (await readSpec(await locateModel(folder))).tokens;
}

async function problemsOf(files: Files): Promise<string[]> {
  const located = await locateModel(await modelFolder({ 'tokenizer.json': TOKENIZER, ...files }));
  return problemsIn(located.folder, readSpec(located));
}

const decoder = (...tokens: readonly MergedToken[]): object =>
  Object.fromEntries(tokens.map(({ id, ...fields }) => [id, fields]));

describe('an added token', () => {
  it.each([TOKENIZER, UNIGRAM])('comes from added_tokens_decoder with its flags: %#', async (tokenizer) => {
    const flags = { lstrip: true, rstrip: true, single_word: true, normalized: true, special: false };
    const tokens = await tokensOf({
      'tokenizer.json': tokenizer,
      'tokenizer_config.json': {
        added_tokens_decoder: decoder(entry(1, '<s>'), entry(2, '</s>'), entry(9, '<tool>', flags)),
      },
    });
    expect(tokens.added).toEqual([entry(1, '<s>'), entry(9, '<tool>', flags)]);
    expect(tokens.differences.count).toBe(0);
  });

  it('comes from added_tokens.json; it is special if a file names it', async () => {
    const tokens = await tokensOf({
      'tokenizer_config.json': { eos_token: '<end>', extra_special_tokens: ['<tool>'] },
      'added_tokens.json': { '<end>': 5, '<tool>': 6, '<plain>': 7, '<user>': 4 },
    });
    expect(tokens.added.toSorted((a, b) => a.id - b.id)).toEqual([
      entry(5, '<end>', { normalized: true }),
      entry(6, '<tool>', { normalized: true }),
      entry(7, '<plain>', { normalized: true, special: false }),
    ]);
    expect(tokens).toMatchObject({ eosId: 5, differences: { count: 0 } });
  });

  it.each([
    ['additional_special_tokens', ['<s>', { content: '<user>', lstrip: true }]],
    ['extra_special_tokens', { image_token: '<s>', 'not a name': '<user>' }],
  ])('of the vocabulary becomes special by %s', async (field, list) => {
    for (const file of ['tokenizer_config.json', 'special_tokens_map.json'])
      expect((await tokensOf({ [file]: { [field]: list } })).added).toEqual([entry(1, '<s>')]);
  });

  it('that tokenizer.json does not call special becomes special by its name', async () => {
    const added_tokens = [{ id: 2, content: '</s>', special: false, rstrip: true }];
    const tokens = await tokensOf({
      'tokenizer.json': { ...TOKENIZER, added_tokens },
      'special_tokens_map.json': { eos_token: '</s>' },
    });
    expect(tokens.added).toEqual([entry(2, '</s>', { rstrip: true, normalized: true })]);
  });

  it('does not become special if it only pads: the text can be an ordinary one', async () => {
    expect((await tokensOf({ 'special_tokens_map.json': { pad_token: '!', unk_token: '!' } })).added).toEqual([]);
  });

  it('has the id of tokenizer.json and the flags of added_tokens_decoder, and the differences are stated', async () => {
    const tokens = await tokensOf({
      'tokenizer_config.json': { added_tokens_decoder: decoder(entry(8, '<user>', { lstrip: true })) },
    });
    expect(tokens.added).toEqual([entry(4, '<user>', { lstrip: true })]);
    expect(tokens.differences).toEqual({
      count: 2,
      files: ['tokenizer.json', 'tokenizer_config.json'],
      first: [
        'the id of "<user>" is 4 in tokenizer.json (used) and 8 in tokenizer_config.json',
        'lstrip of "<user>" is false in tokenizer.json and true in tokenizer_config.json (used)',
      ],
    });
  });

  it('without an id in any file is a difference', async () => {
    expect((await tokensOf({ 'tokenizer_config.json': { bos_token: '<gone>' } })).differences.first).toEqual([
      'no file states the id of "<gone>" in tokenizer_config.json',
    ]);
  });
});

describe('a model is refused', () => {
  it.each([
    [{ 3: { content: '<tool>' } }, '"!"'],
    [{ 4: { content: '<tool>' } }, '"<user>"'],
    [{ 9: { content: '<tool>' }, 10: { content: '<tool>' } }, undefined],
  ])('with a new token whose id belongs to another text: %j', async (added_tokens_decoder, holder) => {
    const files = { 'tokenizer_config.json': { added_tokens_decoder } };
    if (holder === undefined) expect((await tokensOf(files)).differences.count).toBe(1);
    else
      expect(await problemsOf(files)).toEqual([
        `tokenizer_config.json gives "<tool>" the id ${Object.keys(added_tokens_decoder)[0]}, which is ${holder} in tokenizer.json: use the files of one export of the model`,
      ]);
  });

  it('with a taken id in added_tokens.json, unless added_tokens_decoder is there: the file is then outdated', async () => {
    const list = { 'added_tokens.json': { '<tool>': 4 } };
    expect(await problemsOf(list)).toEqual([expect.stringMatching(/^added_tokens\.json gives "<tool>" the id 4, /)]);
    const tokens = await tokensOf({ ...list, 'tokenizer_config.json': { added_tokens_decoder: {} } });
    expect(tokens.differences.first).toEqual(['id 4 is "<user>" (used), and "<tool>" in added_tokens.json']);
    expect(tokens.added).toEqual([]);
  });

  it.each(['-1', '01', '1e3', '4294967296', 'x'])('with the id %j in added_tokens_decoder', async (id) => {
    const files = { 'tokenizer_config.json': { added_tokens_decoder: { [id]: { content: '<tool>' } } } };
    expect(await problemsOf(files)).toEqual([
      `tokenizer_config.json has a wrong "added_tokens_decoder.${id}" (expected an id from 0 to 4294967295)`,
    ]);
  });

  it('with a wrong id in added_tokens.json, or a token without a text', async () => {
    expect(await problemsOf({ 'added_tokens.json': { '<tool>': -3 } })).toEqual([
      expect.stringMatching(/^added_tokens\.json has a wrong "<tool>" \(/),
    ]);
    expect(await problemsOf({ 'tokenizer_config.json': { added_tokens_decoder: { 9: {} } } })).toEqual([
      'tokenizer_config.json lacks "added_tokens_decoder.9.content"',
    ]);
  });
});

describe('the named tokens', () => {
  const map = { 'special_tokens_map.json': { bos_token: { content: '<s>', lstrip: false }, eos_token: '</s>' } };

  it('come from special_tokens_map.json beside a tokenizer_config.json without them', async () => {
    const tokens = await tokensOf({ ...map, 'tokenizer_config.json': { model_max_length: 8, pad_token: '!' } });
    expect(tokens).toMatchObject({ named: { bos_token: '<s>', eos_token: '</s>', pad_token: '!' }, eosId: 2 });
    expect(tokens.differences.count).toBe(0);
  });

  it('come from special_tokens_map.json if it differs, and the difference is stated', async () => {
    const { named, differences } = await tokensOf({
      ...map,
      'tokenizer_config.json': { bos_token: 'a', eos_token: null },
    });
    expect(named).toEqual({ bos_token: '<s>', eos_token: '</s>' });
    expect(differences.first).toEqual([
      'bos_token is "<s>" in special_tokens_map.json (used) and "a" in tokenizer_config.json',
    ]);
  });

  it('come from a tokenizer_config.json with added_tokens_decoder, where null means none', async () => {
    const config = { added_tokens_decoder: {}, bos_token: 'a', eos_token: null };
    const { named, eosId, differences } = await tokensOf({ ...map, 'tokenizer_config.json': config });
    expect([named, eosId]).toEqual([{ bos_token: 'a' }, undefined]);
    expect(differences).toMatchObject({
      count: 2,
      first: [
        'bos_token is "a" in tokenizer_config.json (used) and "<s>" in special_tokens_map.json',
        'eos_token is null in tokenizer_config.json (used) and "</s>" in special_tokens_map.json',
      ],
    });
  });

  it('include the own names of a model', async () => {
    const config = { extra_special_tokens: { image_token: '<user>', messages: '<user>' } };
    expect((await tokensOf({ 'tokenizer_config.json': config })).named).toEqual({ image_token: '<user>' });
  });
});

it('many differences are counted, and the first ones are stated with short texts', async () => {
  const tokens = Array.from({ length: 1_000 }, (_, n) => `<${n}${'x'.repeat(1_000)}>`);
  const { differences } = await tokensOf({ 'tokenizer_config.json': { additional_special_tokens: tokens } });
  expect(differences).toMatchObject({ count: 1_000, files: ['tokenizer.json', 'tokenizer_config.json'] });
  expect(differences.first).toHaveLength(MAX_DIFFERENCES);
  expect(differences.first.join('; ').length).toBeLessThan(1_024);
});

it('a hundred thousand statements of tokens in a Unigram vocabulary of this size are merged in seconds', async () => {
  const texts = Array.from({ length: 100_000 }, (_, n) => `<${n}>`);
  const began = performance.now();
  const tokens = await tokensOf({
    'config.json': { ...CONFIG, vocab_size: 400_000 },
    'tokenizer.json': { added_tokens: [], model: { type: 'Unigram', vocab: texts.map((text) => [text, -1]) } },
    'tokenizer_config.json': { additional_special_tokens: texts },
    'added_tokens.json': Object.fromEntries(texts.map((text, n) => [`${text}!`, 200_000 + n])),
  });
  expect(tokens.added).toHaveLength(200_000);
  expect(performance.now() - began).toBeLessThan(30_000);
});
