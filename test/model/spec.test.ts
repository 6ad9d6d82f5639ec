import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { embeddedModel } from '../../src/model/folder.ts';
import { locateModel } from '../../src/model/locate.ts';
import { type ModelSpec, readSpec } from '../../src/model/spec.ts';
import { NEUTRAL } from '../../src/protocol/sampling.ts';
import { CONFIG, type Files, modelFolder, problemsIn, reasonOf, TOKENIZER } from './folders.ts';

const specOf = async (files: Files): Promise<ModelSpec> => readSpec(await locateModel(await modelFolder(files)));
const sampling = async (generation: object): Promise<object> =>
  (await specOf({ 'generation_config.json': generation })).sampling;

async function problemsOf(files: Files): Promise<string[]> {
  const located = await locateModel(await modelFolder(files));
  return problemsIn(located.folder, readSpec(located));
}

describe('the embedded model', () => {
  it('has these facts', async () => {
    expect(await readSpec(await locateModel(embeddedModel()))).toEqual({
      name: 'haiku',
      architecture: 'LlamaForCausalLM',
      vocabSize: 1024,
      contextLength: 512,
      eosIds: [3],
      sampling: { ...NEUTRAL, temperature: 0.8, topP: 0.95 },
      tokenizerKind: 'bpe',
      names: {},
      tokens: {
        added: [],
        named: { bos_token: '<|bos|>', eos_token: '<|end|>', pad_token: '<|pad|>' },
        eosId: 3,
        differences: { count: 0, first: [], files: [] },
      },
      ignored: [],
    });
  });
});

describe('the sampling defaults', () => {
  it('are neutral without a generation_config.json', async () => {
    expect((await specOf({})).sampling).toEqual(NEUTRAL);
    expect(await sampling({ transformers_version: '4', temperature: null, top_k: null })).toEqual(NEUTRAL);
  });

  it('are greedy with only the penalties of the file if do_sample is false', async () => {
    const greedy = { do_sample: false, temperature: 0.7, top_k: 1, top_p: 0.1, min_p: 0.2, repetition_penalty: 1.1 };
    expect(await sampling(greedy)).toEqual({ ...NEUTRAL, temperature: 0, repetitionPenalty: 1.1 });
  });

  it('are the values of the file if do_sample is true or absent', async () => {
    const given = { temperature: 0.6, top_p: 0.9, top_k: 20, min_p: 0.1, repetition_penalty: 1.1 };
    const read = { ...NEUTRAL, temperature: 0.6, topP: 0.9, topK: 20, minP: 0.1, repetitionPenalty: 1.1 };
    expect(await sampling({ do_sample: true, ...given })).toEqual(read);
    expect(await sampling(given)).toEqual(read);
  });

  it('may be above the limits of a request', async () => {
    expect(await sampling({ temperature: 7, repetition_penalty: 3 })).toMatchObject({
      temperature: 7,
      repetitionPenalty: 3,
    });
  });

  it('are off for a top_k of -1, as vLLM writes it', async () => {
    const { sampling, ignored } = await specOf({ 'generation_config.json': { do_sample: true, top_k: -1 } });
    expect([sampling, ignored]).toEqual([NEUTRAL, []]);
  });

  it('ignore every wrong value, and report it', async () => {
    const generation =
      '{"do_sample": "yes", "temperature": NaN, "top_p": [1], "top_k": 2.5, "min_p": "x", "repetition_penalty": Infinity}';
    const { sampling, ignored } = await specOf({ 'generation_config.json': generation });
    expect(sampling).toEqual(NEUTRAL);
    expect(ignored.map(({ field, value }) => `${field}: ${value}`)).toEqual([
      'do_sample: "yes"',
      'temperature: NaN',
      'top_p: a list',
      'min_p: "x"',
      'top_k: 2.5',
      'repetition_penalty: Infinity',
    ]);
  });

  it('do not include a parameter that models give no default for', async () => {
    expect(await sampling({ frequency_penalty: 1, seed: 3 })).toEqual(NEUTRAL);
  });
});

describe('the ids that end a sequence', () => {
  it('are the ids of both configurations and of the tokenizer, without duplicates and in order', async () => {
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

  it('exclude ids that are not in the vocabulary, and can be none at all', async () => {
    const config = { ...CONFIG, eos_token_id: [-1, 100] };
    const spec = await specOf({ 'config.json': config, 'tokenizer_config.json': { eos_token: 'toString' } });
    expect(spec.eosIds).toEqual([]);
  });
});

describe('the shape of the model', () => {
  it('can use the names of GPT-2, with a tokenizer that names no kind', async () => {
    const config = { model_type: 'gpt2', vocab_size: 100, n_positions: 1024, n_layer: 12, n_head: 12, n_embd: 768 };
    const spec = await specOf({ 'config.json': config, 'tokenizer.json': { model: { vocab: { a: 1 }, merges: [] } } });
    expect(spec).toMatchObject({
      architecture: 'gpt2',
      vocabSize: 100,
      contextLength: 1024,
      tokenizerKind: 'bpe',
    });
  });

  it('can stand in text_config, for a model that also takes images or sound; fields at the top win', async () => {
    const { model_type, eos_token_id, ...text } = { ...CONFIG, max_position_embeddings: 4096 };
    const config = {
      model_type: 'gemma3',
      eos_token_id: [1, 2],
      vocab_size: null,
      text_config: { ...text, eos_token_id },
    };
    expect(await specOf({ 'config.json': config })).toMatchObject({
      architecture: 'LlamaForCausalLM',
      vocabSize: 100,
      contextLength: 4096,
      eosIds: [1, 2],
    });
    expect((await specOf({ 'config.json': { ...config, vocab_size: 90 } })).vocabSize).toBe(90);
    expect(await problemsOf({ 'config.json': { model_type, text_config: { ...text, vocab_size: -1 } } })).toEqual([
      expect.stringMatching(/^config\.json has a wrong "vocab_size" \(/),
    ]);
  });

  it('includes the whole context, whatever sliding_window and rope_scaling are', async () => {
    const window = { sliding_window: 128, rope_scaling: { rope_type: 'yarn', factor: 4 } };
    expect((await specOf({ 'config.json': { ...CONFIG, ...window } })).contextLength).toBe(2048);
  });

  it.each([
    [512, 512],
    [1e30, 2048],
    ['Infinity', 2048],
    ['NaN', 2048],
    [0, 2048],
    [null, 2048],
  ])('has, with a model_max_length of %s, a context of %s tokens', async (limit, length) => {
    const config = `{"model_max_length": ${limit}}`;
    expect((await specOf({ 'tokenizer_config.json': config })).contextLength).toBe(length);
  });

  it('needs no tokenizer_config.json, unless the template names special tokens', async () => {
    const none = { 'tokenizer_config.json': undefined };
    expect(await specOf(none)).toMatchObject({ eosIds: [2], contextLength: 2048 });
    const map = { ...none, 'special_tokens_map.json': { eos_token: { content: '</s>' } } };
    expect((await specOf(map)).eosIds).toEqual([2, 11]);
    const template = '{{ bos_token }}{{ messages[0].content }}{{ eos_token }}';
    await specOf({ ...none, 'chat_template.jinja': '{{ messages[0].content }}' });
    await specOf({ ...map, 'chat_template.jinja': template });
    expect(await problemsOf({ ...none, 'chat_template.jinja': template })).toEqual([
      'tokenizer_config.json is missing, and chat_template.jinja names its "bos_token", "eos_token"',
    ]);
  });
});

describe('every JSON file of a model', () => {
  const MARK = '\ufeff';
  const python = (fields: object): string =>
    `${MARK}${JSON.stringify(fields).slice(0, -1)}, "other": [NaN, -Infinity]}`;

  it.each([
    ['config.json', CONFIG],
    ['generation_config.json', {}],
    ['tokenizer.json', TOKENIZER],
    ['tokenizer_config.json', {}],
    ['special_tokens_map.json', {}],
    ['added_tokens.json', {}],
  ])('must be UTF-8: %s', async (file, fields) => {
    const text = JSON.stringify({ ...fields, é: 1 });
    const files = { 'config.json': CONFIG, 'tokenizer.json': TOKENIZER };
    expect(await problemsOf({ ...files, [file]: Buffer.from(text, 'latin1') })).toEqual([
      `${file} is not UTF-8: save it as UTF-8`,
    ]);
    expect(await problemsOf({ ...files, [file]: Buffer.from(`\ufeff${text}`, 'utf16le') })).toEqual([
      `${file} is not UTF-8 but UTF-16: save it as UTF-8`,
    ]);
  });

  it('can have a byte-order mark and the numbers of Python', async () => {
    const { eosIds, tokens } = await specOf({
      'config.json': python(CONFIG),
      'generation_config.json': python({ eos_token_id: 3 }),
      'genai_config.json': python({ model: { eos_token_id: 4, decoder: {} } }),
      'tokenizer.json': python(TOKENIZER),
      'tokenizer_config.json': python({ eos_token: '</s>' }),
      'special_tokens_map.json': python({ bos_token: 'a' }),
      'added_tokens.json': `${MARK}{"a": 10}`,
      'chat_template.json': python({ chat_template: 'x' }),
    });
    expect(eosIds).toEqual([2, 3, 4, 11]);
    expect(tokens.named).toEqual({ bos_token: 'a', eos_token: '</s>' });
  });

  it.each(['vocab_size', 'max_position_embeddings', 'num_hidden_layers'])('needs a finite %s', async (field) => {
    const config = JSON.stringify({ ...CONFIG, [field]: 0 }).replace(`"${field}":0`, `"${field}":Infinity`);
    expect(await problemsOf({ 'config.json': config })).toEqual([
      expect.stringMatching(`^config\\.json has a wrong "${field}" \\(.*Infinity`),
    ]);
  });

  it('can have 17 MB, if it is the tokenizer', async () => {
    const tokenizer = `${JSON.stringify(TOKENIZER).slice(0, -1)}, "other": "${'x'.repeat(17 * 2 ** 20)}"}`;
    expect((await specOf({ 'tokenizer.json': tokenizer })).tokenizerKind).toBe('bpe');
  });
});

describe('a broken configuration', () => {
  it.each(Object.keys(CONFIG).filter((key) => !/architectures|key_value|eos|position/.test(key)))(
    'without %s is reported',
    async (key) => {
      expect(await problemsOf({ 'config.json': { ...CONFIG, [key]: undefined } })).toEqual([
        `config.json lacks "${key}"`,
      ]);
    },
  );

  it('without a context length is reported with the setting that gives one, and is none with this setting', async () => {
    const files = { 'config.json': { ...CONFIG, max_position_embeddings: undefined } };
    expect(await problemsOf(files)).toEqual([
      'config.json lacks "max_position_embeddings": set --context to the number of tokens of prompt and output together',
    ]);
    const located = await locateModel(await modelFolder(files));
    expect((await readSpec(located, { context: 300 })).contextLength).toBe(300);
    const limited = { ...files, 'tokenizer_config.json': { model_max_length: 200 } };
    expect((await readSpec(await locateModel(await modelFolder(limited)), { context: 300 })).contextLength).toBe(200);
  });

  it.each([
    [{ head_dim: 16, hidden_size: undefined }, []],
    [{ head_dim: 16, num_attention_heads: null }, []],
    [{ head_dim: null, hidden_size: undefined }, ['config.json lacks "hidden_size"']],
    [
      { head_dim: 16, num_attention_heads: null, num_key_value_heads: null },
      ['config.json lacks "num_attention_heads"'],
    ],
  ])('with the fields %j has the problems %j', async (fields, problems) => {
    const files = { 'config.json': { ...CONFIG, ...fields } };
    if (problems.length > 0) expect(await problemsOf(files)).toEqual(problems);
    else expect((await specOf(files)).vocabSize).toBe(100);
  });

  it('is reported with every file and field at once', async () => {
    const problems = await problemsOf({
      'config.json': { ...CONFIG, vocab_size: 'many', num_hidden_layers: 0, model_type: undefined },
      'generation_config.json': { top_p: 3, eos_token_id: ['2'] },
      'tokenizer_config.json': '{"eos_token": ',
      'tokenizer.json': { model: { type: 'CharLevel', vocab: {} } },
    });
    const names = [
      /^config\.json lacks "model_type"$/,
      /^config\.json has a wrong "vocab_size" \(expected number, received string\)$/,
      /^config\.json has a wrong "num_hidden_layers" \(/,
      /^generation_config\.json has a wrong "eos_token_id" \(/,
      /^tokenizer_config\.json is not valid JSON \(/,
      /^tokenizer\.json has a wrong "model\.type" \(/,
    ];
    expect(problems).toHaveLength(names.length);
    for (const [at, name] of names.entries()) expect(problems[at]).toMatch(name);
  });

  it('of the template is no problem of the model: raw prompts work without it', async () => {
    for (const content of ['{', {}, { chat_template: { default: 'x' } }])
      expect((await specOf({ 'chat_template.json': content })).vocabSize).toBe(100);
  });

  it('that is not an object is reported', async () => {
    expect(await problemsOf({ 'config.json': '[1]' })).toEqual(['config.json is not a JSON object']);
    expect(await problemsOf({ 'tokenizer.json': { model: 3 } })).toEqual([
      expect.stringMatching(/^tokenizer\.json has a wrong "model"/),
    ]);
  });

  it('that is deleted after it was found is reported', async () => {
    const files = await locateModel(await modelFolder());
    const error = await reasonOf(readSpec({ ...files, configFile: join(files.folder, 'gone.json') }));
    expect(String(error)).toContain('gone.json cannot be read (ENOENT)');
  });
});
