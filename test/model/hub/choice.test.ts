/** The choice of files from a repository, by names alone. */
import { describe, expect, test } from 'vitest';
import type { DtypeChoice } from '../../../src/model/dtypes.ts';
import { checkpointIndexOf, chooseFiles, genaiConfigOf, type Selection } from '../../../src/model/hub/choice.ts';
import type { Repository } from '../../../src/model/hub/repository.ts';

const WORDS = ['config.json', 'tokenizer.json', 'tokenizer_config.json'];
const MORE = [
  'generation_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'chat_template.jinja',
  'chat_template.json',
  'additional_chat_templates/tool_use.jinja',
];
const NOISE = [
  'README.md',
  'additional_chat_templates/README.md',
  '.gitattributes',
  'model.safetensors',
  'pytorch_model.bin',
  'onnx/decoder_model_merged.onnx',
];

const having = (...paths: string[]): Repository => ({
  reference: { repo: 'org/name', folder: '', revision: 'main' },
  commit: '0'.repeat(40),
  files: paths.map((path) => ({ path, size: 1, etag: '0'.repeat(40), hash: 'git-sha1' })),
});

const chosen = (repository: Repository, wish: Partial<Selection> = {}) =>
  chooseFiles(repository, { dtype: 'auto', format: 'auto', device: 'cpu', ...wish });
const taken = (repository: Repository, wish?: Partial<Selection>): string[] =>
  chosen(repository, wish).files.map(({ path }) => path);
const inFolder = (folder: string, repository: Repository): Repository => ({
  ...repository,
  reference: { ...repository.reference, folder },
});

const ALL = having(
  ...NOISE,
  ...WORDS,
  ...MORE,
  'onnx/model.onnx',
  'onnx/model.onnx_data',
  'onnx/model.onnx_data_1',
  'onnx/model.onnx_data_2',
  'onnx/model_fp16.onnx',
  'onnx/model_q4.onnx',
  'onnx/model_q4.onnx_data',
  'onnx/model_q4f16.onnx',
  'onnx/model_quantized.onnx',
);

describe('the choice', () => {
  test('takes, for auto, the configuration, the tokenizer and the fastest weights for a CPU with their data', () => {
    expect(taken(ALL).sort()).toEqual([...WORDS, ...MORE, 'onnx/model_q4.onnx', 'onnx/model_q4.onnx_data'].sort());
    const { dtype, why } = chosen(ALL);
    expect(dtype).toBe('q4');
    expect(why).toBe('dtype q4 of q4, q8, fp32, q4f16, fp16, for cpu: 4-bit weights, least to read per token');
  });

  test.each([
    ['cuda-0', 'q4f16', 'onnx/model_q4f16.onnx'],
    ['webgpu', 'q4f16', 'onnx/model_q4f16.onnx'],
    ['coreml', 'fp16', 'onnx/model_fp16.onnx'],
  ] as const)('takes, for auto on %s, the weights that a worker would choose', (device, dtype, weights) => {
    const choice = chosen(ALL, { device });
    expect([choice.dtype, choice.files.at(-1)?.path]).toEqual([dtype, weights]);
    expect(choice.why).toContain(`dtype ${dtype} of q4, q8, fp32, q4f16, fp16, for ${device}: `);
  });

  test.each([
    ['fp32', ['onnx/model.onnx', 'onnx/model.onnx_data', 'onnx/model.onnx_data_1', 'onnx/model.onnx_data_2']],
    ['fp16', ['onnx/model_fp16.onnx']],
    ['q8', ['onnx/model_quantized.onnx']],
    ['quantized', ['onnx/model_quantized.onnx']],
    ['q4f16', ['onnx/model_q4f16.onnx']],
  ] satisfies [DtypeChoice, string[]][])('takes the requested dtype %s', (dtype, weights) => {
    expect(taken(ALL, { dtype, device: 'cuda-0' }).filter((path) => path.includes('.onnx'))).toEqual(weights);
    expect(chosen(ALL, { dtype }).why).toMatch(/as requested$/);
  });

  test('puts weights last, so that an unusable repository is detected early', () => {
    const paths = taken(ALL, { dtype: 'fp32' });
    expect(paths.findIndex((path) => path.includes('.onnx'))).toBe(WORDS.length + MORE.length);
  });

  test('takes weights at the root, and their data under either name', () => {
    const root = having(
      ...WORDS,
      'model.onnx',
      'model.onnx.data',
      'model.onnx_database',
      'model.onnx.data.bak',
      'xmodel.onnx',
    );
    expect(taken(root)).toEqual([...WORDS, 'model.onnx', 'model.onnx.data']);
  });

  test.each(['special_tokens_map.json', 'README.md'])('does not need tokenizer_config.json: %s is enough', (other) => {
    expect(taken(having('config.json', 'tokenizer.json', other, 'model.onnx'))).toEqual(
      ['config.json', 'tokenizer.json', other, 'model.onnx'].filter((path) => path !== 'README.md'),
    );
  });
});

describe('the choice from a GenAI layout', () => {
  const words = ['genai_config.json', 'tokenizer.json', 'tokenizer_config.json'];

  test('reads its configuration first, if there is one', () => {
    expect(genaiConfigOf(having(...words, 'phi.onnx'))?.path).toBe('genai_config.json');
    expect(genaiConfigOf(having(...words.slice(1), 'cpu/genai_config.json'))).toBeUndefined();
  });

  test('takes the decoder that the configuration names; only its graph names its data', () => {
    const genai = having(...words, 'phi.onnx', 'phi.onnx.data', 'vision.onnx');
    expect(taken(genai, { decoder: 'phi.onnx' })).toEqual([...words, 'phi.onnx']);
    expect(chosen(genai, { decoder: 'phi.onnx' })).toMatchObject({
      dtype: 'auto',
      why: 'weights phi.onnx, which genai_config.json names',
    });
  });

  test('does not derive a dtype from a decoder called model.onnx', () => {
    const genai = having(...words, 'model.onnx', 'model.onnx.data');
    expect(chosen(genai, { decoder: 'model.onnx' }).dtype).toBe('auto');
    for (const dtype of ['q4', 'fp32'] as const) {
      const choice = chosen(genai, { decoder: 'model.onnx', dtype });
      expect(choice).toMatchObject({ dtype, why: expect.stringContaining('which genai_config.json names') });
      expect(choice.files.at(-1)?.path).toBe('model.onnx');
    }
  });

  test('prefers weights of the requested dtype, and any weights if the decoder is missing', () => {
    const both = having(...words, 'phi.onnx', 'onnx/model_fp16.onnx');
    expect(taken(both, { decoder: 'phi.onnx', dtype: 'fp16' }).at(-1)).toBe('onnx/model_fp16.onnx');
    expect(taken(both, { decoder: 'phi.onnx' }).at(-1)).toBe('phi.onnx');
    expect(taken(both, { decoder: 'gone.onnx' }).at(-1)).toBe('onnx/model_fp16.onnx');
  });

  test('takes only the files of the folder that the name selects', () => {
    const paths = [...words, 'phi.onnx', 'model.onnx'].flatMap((path) => [`cpu/int4/${path}`, `cuda/${path}`, path]);
    const folder = inFolder('cpu/int4', having(...paths));
    expect(genaiConfigOf(folder)?.path).toBe('cpu/int4/genai_config.json');
    expect(taken(folder, { decoder: 'phi.onnx' })).toEqual([...words, 'phi.onnx'].map((path) => `cpu/int4/${path}`));
  });
});

describe('the choice fails', () => {
  test.each([
    [
      ALL,
      'bnb4',
      /org\/name has no weights of dtype bnb4; it has q4, q8, fp32, q4f16, fp16, model\.safetensors \(dtype fp32, fp16, bf16, q8, q4\)\.$/,
    ],
    [
      having(...WORDS, 'pytorch_model.bin'),
      'auto',
      /has no onnx\/model\*\.onnx, .* and no model\.safetensors; choose a repository of a model in ONNX or safetensors\.$/,
    ],
    [
      having(...WORDS, 'cpu/model.onnx', 'onnx/x.onnx'),
      'auto',
      /its \.onnx files are cpu\/model\.onnx, onnx\/x\.onnx\./,
    ],
    [having('config.json', 'onnx/model.onnx'), 'auto', /has no tokenizer\.json: the worker cannot load it/],
    [having('tokenizer.json', 'tokenizer_config.json', 'model.onnx'), 'auto', /has no config\.json/],
    [having('genai_config.json', ...WORDS), 'auto', /has no onnx\/model\*\.onnx/],
    [
      having('cuda/x.onnx', 'cuda/genai_config.json', 'cpu/int4/genai_config.json', 'cpu/int4/x.onnx'),
      'auto',
      /it has models in folders: pull one of org\/name\/cuda, org\/name\/cpu\/int4\.$/,
    ],
    [inFolder('gone', having(...WORDS, 'model.onnx')), 'auto', /^org\/name\/gone has no onnx\/model\*\.onnx/],
  ] satisfies [Repository, DtypeChoice, RegExp][])('for an unusable repository: %#', (repository, dtype, reason) => {
    expect(() => chosen(repository, { dtype })).toThrow(reason);
  });

  test('for a missing decoder', () => {
    expect(() => taken(having('genai_config.json', ...WORDS), { decoder: 'phi.onnx' })).toThrow(/has no phi\.onnx/);
  });
});

describe('the choice of a checkpoint', () => {
  const INDEX = 'model.safetensors.index.json';
  const parts = ['model-1.safetensors', 'model-2.safetensors'];
  const others = ['consolidated.safetensors', 'adapter_model.safetensors', 'model-3.safetensors', 'original/x.pth'];
  const plain = having(...WORDS, ...MORE, ...others, 'model.safetensors');
  const sharded = having(...WORDS, ...others, ...parts, INDEX);

  test('is made where the repository has no ONNX file that suits', () => {
    expect(taken(plain).sort()).toEqual([...WORDS, ...MORE, 'model.safetensors'].sort());
    expect(chosen(plain)).toMatchObject({
      dtype: 'auto',
      format: 'safetensors',
      why: 'the checkpoint: no .onnx file suits',
    });
    expect(chosen(ALL)).toMatchObject({ dtype: 'q4', format: 'onnx' });
    expect(chosen(ALL, { dtype: 'bf16' })).toMatchObject({ dtype: 'bf16', format: 'safetensors' });
  });

  test('is made by the requested format', () => {
    const choice = chosen(ALL, { format: 'safetensors' });
    expect(choice).toMatchObject({ format: 'safetensors', why: 'the checkpoint, as requested' });
    expect(choice.files.at(-1)?.path).toBe('model.safetensors');
    const genai = having('genai_config.json', 'config.json', 'tokenizer.json', 'phi.onnx', 'model.safetensors');
    expect(taken(genai, { format: 'safetensors', decoder: 'phi.onnx' }).at(-1)).toBe('model.safetensors');
    expect(taken(genai, { decoder: 'phi.onnx' }).at(-1)).toBe('phi.onnx');
  });

  test('takes the index, and of the files only those that the index names', () => {
    const selection = { dtype: 'auto', format: 'auto', device: 'cpu' } as const;
    expect(checkpointIndexOf(sharded, selection)?.path).toBe(INDEX);
    expect(checkpointIndexOf(plain, selection)).toBeUndefined();
    expect(checkpointIndexOf(having(...WORDS, INDEX, 'model.onnx'), selection)).toBeUndefined();
    expect(taken(sharded, { shards: parts })).toEqual([...WORDS, INDEX, ...parts]);
  });

  test.each([
    [sharded, { shards: ['gone.safetensors'] }, /^org\/name has no gone\.safetensors: the worker cannot load it\.$/],
    [
      plain,
      { format: 'onnx' },
      /^org\/name has no onnx\/model\*\.onnx and no model\*\.onnx; it has model\.safetensors: use/,
    ],
    [having(...WORDS, 'model.onnx'), { format: 'safetensors' }, /has no model\.safetensors and no .*index\.json; its/],
    [
      plain,
      { dtype: 'q4f16' },
      /no weights of dtype q4f16; it has model\.safetensors \(dtype fp32, fp16, bf16, q8, q4\)\.$/,
    ],
    [plain, { device: 'coreml' }, /it has model\.safetensors \(dtype fp32, fp16, bf16, q8, q4, on another device\)\.$/],
    [having('genai_config.json', 'tokenizer.json', 'model.safetensors'), {}, /^org\/name has no config\.json: /],
  ] satisfies [Repository, Partial<Selection>, RegExp][])('fails: %#', (repository, selection, reason) => {
    expect(() => chosen(repository, selection)).toThrow(reason);
  });

  test.each([
    ['BF16', {}, 'the checkpoint of dtype bf16: no .onnx file suits'],
    ['F32', { dtype: 'fp32', format: 'safetensors' }, 'the checkpoint of dtype fp32, as requested'],
    ['BF16', { dtype: 'q4' }, 'the checkpoint of dtype bf16, for q4: no .onnx file suits'],
  ] satisfies [string, Partial<Selection>, string][])('has the type %s that the hub states', (type, wish, why) => {
    expect(chosen({ ...plain, checkpointType: type }, wish)).toMatchObject({ format: 'safetensors', why });
  });

  test.each([
    ['BF16', { dtype: 'fp32' }, /no weights of dtype fp32; it has model\.safetensors \(dtype bf16, q8, q4\)\.$/],
    ['I32', {}, /it has model\.safetensors \(weights of type I32, which no worker runs\)\.$/],
  ] satisfies [string, Partial<Selection>, RegExp][])('fails before the download: %s %j', (type, wish, reason) => {
    expect(() => chosen({ ...plain, checkpointType: type }, wish)).toThrow(reason);
  });
});
