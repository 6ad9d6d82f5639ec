import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { embeddedModel } from '../../src/model/folder.ts';
import { locateModel } from '../../src/model/locate.ts';
import { type ModelSpec, readSpec } from '../../src/model/spec.ts';
import { CONFIG, type Files, modelFolder, problemsIn, reasonOf, TOKENIZER } from './folders.ts';

const specOf = async (files: Files): Promise<ModelSpec> => readSpec(await locateModel(await modelFolder(files)));
const sampling = async (generation: object): Promise<object> =>
  (await specOf({ 'generation_config.json': generation })).sampling;

async function problemsOf(files: Files): Promise<string[]> {
  const located = await locateModel(await modelFolder(files));
  return problemsIn(located.folder, readSpec(located));
}

describe('the embedded model', () => {
  it('says all of this about itself', async () => {
    expect(await readSpec(await locateModel(embeddedModel()))).toEqual({
      name: 'haiku',
      architecture: 'LlamaForCausalLM',
      modelType: 'llama',
      vocabSize: 1024,
      contextLength: 512,
      eosIds: [3],
      bosId: 0,
      padId: 4,
      sampling: { temperature: 0.8, topP: 0.95, topK: 0, minP: 0, repetitionPenalty: 1 },
      layers: 4,
      kvHeads: 4,
      headDim: 16,
      tokenizerKind: 'bpe',
      hasChatTemplate: true,
      names: {},
    });
  });
});

describe('the sampling defaults', () => {
  it('are off without a generation_config', async () => {
    const off = { temperature: 1, topP: 1, topK: 0, minP: 0, repetitionPenalty: 1 };
    expect((await specOf({})).sampling).toEqual(off);
    expect(await sampling({ transformers_version: '4', temperature: null, top_k: null })).toEqual(off);
  });

  it('are greedy when the model does not sample, and as given when it does or does not say', async () => {
    const greedy = { do_sample: false, temperature: 0.7, top_k: 1, top_p: 0.1, min_p: 0.2, repetition_penalty: 1.1 };
    expect(await sampling(greedy)).toEqual({ temperature: 0, topP: 1, topK: 0, minP: 0, repetitionPenalty: 1.1 });
    expect(await sampling({ temperature: 0.7 })).toMatchObject({ temperature: 0.7 });
    const given = { do_sample: true, temperature: 0.6, top_p: 0.9, top_k: 20, min_p: 0.1, repetition_penalty: 1.1 };
    expect(await sampling(given)).toEqual({ temperature: 0.6, topP: 0.9, topK: 20, minP: 0.1, repetitionPenalty: 1.1 });
  });
});

describe('the ids that end a sequence', () => {
  it("are those of both configurations and the tokenizer's own, once each and in order", async () => {
    const { eosIds } = await specOf({
      'generation_config.json': { eos_token_id: [40, 2, 30] },
      'tokenizer_config.json': { eos_token: '</s>' },
    });
    expect(eosIds).toEqual([2, 11, 30, 40]);
  });

  it.each([
    ['an added token', { ...TOKENIZER, added_tokens: [{ id: 50, content: '<end>' }] }, 50],
    [
      'a token of a Unigram list',
      {
        model: {
          type: 'Unigram',
          vocab: [
            ['a', -1],
            ['<end>', -2],
          ],
        },
      },
      1,
    ],
    ['a token of the vocabulary', { model: { type: 'WordPiece', vocab: { '<end>': 7 } } }, 7],
  ])('come from %s', async (_, tokenizer, id) => {
    const files = {
      'tokenizer.json': tokenizer,
      'tokenizer_config.json': { eos_token: { content: '<end>', lstrip: false } },
    };
    expect((await specOf(files)).eosIds).toEqual([2, id].sort((a, b) => a - b));
  });

  it('leave out what is not in the vocabulary, and may be none at all', async () => {
    const config = { ...CONFIG, eos_token_id: -1, bos_token_id: 100, pad_token_id: null };
    const spec = await specOf({ 'config.json': config, 'tokenizer_config.json': { eos_token: 'toString' } });
    expect([spec.eosIds, spec.bosId, spec.padId]).toEqual([[], undefined, undefined]);
  });
});

describe('the shape of the model', () => {
  it('is worked out where it is not said', async () => {
    const { head_dim, ...plain } = { ...CONFIG, head_dim: 32 };
    expect((await specOf({ 'config.json': { ...plain, head_dim } })).headDim).toBe(32);
    expect(await specOf({ 'config.json': { ...plain, num_key_value_heads: undefined } })).toMatchObject({
      headDim: 16,
      kvHeads: 8,
    });
  });

  it("may go by GPT-2's names, and its tokenizer by no kind at all", async () => {
    const config = { model_type: 'gpt2', vocab_size: 100, n_positions: 1024, n_layer: 12, n_head: 12, n_embd: 768 };
    const spec = await specOf({ 'config.json': config, 'tokenizer.json': { model: { vocab: { a: 1 }, merges: [] } } });
    expect(spec).toMatchObject({
      architecture: 'gpt2',
      contextLength: 1024,
      layers: 12,
      kvHeads: 12,
      headDim: 64,
      tokenizerKind: 'bpe',
    });
  });

  it('may be said in text_config, where the model sees or hears too; the top counts where it says something', async () => {
    const { model_type, eos_token_id, ...text } = { ...CONFIG, max_position_embeddings: 4096 };
    const config = {
      model_type: 'gemma3',
      eos_token_id: [1, 2],
      vocab_size: null,
      text_config: { ...text, eos_token_id },
    };
    expect(await specOf({ 'config.json': { ...config, num_hidden_layers: 7 } })).toMatchObject({
      modelType: 'gemma3',
      architecture: 'LlamaForCausalLM',
      vocabSize: 100,
      contextLength: 4096,
      eosIds: [1, 2],
      layers: 7,
      kvHeads: 4,
    });
    expect(await problemsOf({ 'config.json': { model_type, text_config: { ...text, vocab_size: -1 } } })).toEqual([
      expect.stringMatching(/^config\.json has a wrong "vocab_size" \(/),
    ]);
  });

  it('says nothing of a window that attention looks back through: the context is whole', async () => {
    const window = { sliding_window: 128, rope_scaling: { rope_type: 'yarn', factor: 4 } };
    expect((await specOf({ 'config.json': { ...CONFIG, ...window } })).contextLength).toBe(2048);
  });

  it.each([
    [512, 512],
    [1e30, 2048],
    [0, 2048],
    [null, 2048],
  ])('with a tokenizer for %s tokens takes %s', async (limit, length) => {
    expect((await specOf({ 'tokenizer_config.json': { model_max_length: limit } })).contextLength).toBe(length);
  });

  it('has a chat template in its configuration, in a file, or not at all', async () => {
    expect((await specOf({})).hasChatTemplate).toBe(false);
    expect((await specOf({ 'chat_template.jinja': 'x' })).hasChatTemplate).toBe(true);
    expect((await specOf({ 'chat_template.json': { chat_template: 'x' } })).hasChatTemplate).toBe(true);
    const named = { chat_template: [{ name: 'default', template: 'x' }] };
    expect((await specOf({ 'tokenizer_config.json': named })).hasChatTemplate).toBe(true);
  });

  it('needs no tokenizer_config.json, unless its template names tokens that stand there', async () => {
    const none = { 'tokenizer_config.json': undefined };
    expect(await specOf(none)).toMatchObject({ hasChatTemplate: false, eosIds: [2], contextLength: 2048 });
    const map = { ...none, 'special_tokens_map.json': { eos_token: { content: '</s>' } } };
    expect((await specOf(map)).eosIds).toEqual([2, 11]);
    const template = '{{ bos_token }}{{ messages[0].content }}{{ eos_token }}';
    expect((await specOf({ ...none, 'chat_template.jinja': '{{ messages[0].content }}' })).hasChatTemplate).toBe(true);
    expect((await specOf({ ...map, 'chat_template.jinja': template })).hasChatTemplate).toBe(true);
    expect(await problemsOf({ ...none, 'chat_template.jinja': template })).toEqual([
      'tokenizer_config.json is missing, and chat_template.jinja names its "bos_token", "eos_token"',
    ]);
  });
});

describe('a broken configuration', () => {
  it.each(Object.keys(CONFIG).filter((key) => !/architectures|key_value|eos/.test(key)))(
    'without %s says so',
    async (key) => {
      expect(await problemsOf({ 'config.json': { ...CONFIG, [key]: undefined } })).toEqual([
        `config.json lacks "${key}"`,
      ]);
    },
  );

  it('tells every file and field at once', async () => {
    const problems = await problemsOf({
      'config.json': { ...CONFIG, vocab_size: 'many', num_hidden_layers: 0, model_type: undefined },
      'generation_config.json': { top_p: 3 },
      'tokenizer_config.json': '{"eos_token": ',
      'tokenizer.json': { model: { type: 'CharLevel', vocab: {} } },
    });
    const names = [
      /^config\.json lacks "model_type"$/,
      /^config\.json has a wrong "vocab_size" \(expected number, received string\)$/,
      /^config\.json has a wrong "num_hidden_layers" \(/,
      /^generation_config\.json has a wrong "top_p" \(/,
      /^tokenizer_config\.json is not valid JSON \(/,
      /^tokenizer\.json has a wrong "model\.type" \(/,
    ];
    expect(problems).toHaveLength(names.length);
    for (const [at, name] of names.entries()) expect(problems[at]).toMatch(name);
  });

  it('of the template says so', async () => {
    expect(await problemsOf({ 'chat_template.json': {} })).toEqual(['chat_template.json lacks "chat_template"']);
    expect(await problemsOf({ 'chat_template.json': '{' })).toEqual([
      expect.stringMatching(/^chat_template\.json is not valid JSON \(/),
    ]);
  });

  it('that is no object says so', async () => {
    expect(await problemsOf({ 'config.json': '[1]' })).toEqual(['config.json is not a JSON object']);
    expect(await problemsOf({ 'tokenizer.json': { model: 3 } })).toEqual([
      expect.stringMatching(/^tokenizer\.json has a wrong "model"/),
    ]);
  });

  it('that went away after it was found says so', async () => {
    const files = await locateModel(await modelFolder());
    const error = await reasonOf(readSpec({ ...files, configFile: join(files.folder, 'gone.json') }));
    expect(String(error)).toContain('gone.json cannot be read (ENOENT)');
  });
});
