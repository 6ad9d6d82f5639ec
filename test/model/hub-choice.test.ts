/** Which files of a repository are taken, by names alone. */
import { describe, expect, test } from 'vitest';
import type { DtypeChoice } from '../../src/model/dtypes.ts';
import { chooseFiles, needsDecoderName } from '../../src/model/hub/choice.ts';
import type { Repository } from '../../src/model/hub/repository.ts';

const WORDS = ['config.json', 'tokenizer.json', 'tokenizer_config.json'];
const MORE = ['generation_config.json', 'special_tokens_map.json', 'chat_template.jinja', 'chat_template.json'];
const NOISE = [
  'README.md',
  '.gitattributes',
  'model.safetensors',
  'pytorch_model.bin',
  'onnx/decoder_model_merged.onnx',
];

const having = (...paths: string[]): Repository => ({
  reference: { repo: 'org/name', revision: 'main' },
  commit: '0'.repeat(40),
  files: paths.map((path) => ({ path, size: 1, etag: '0'.repeat(40), hash: 'git-sha1' })),
});

const taken = (repository: Repository, dtype: DtypeChoice = 'auto', decoder?: string): string[] =>
  chooseFiles(repository, dtype, decoder).files.map(({ path }) => path);

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

describe('what is taken', () => {
  test('auto: the words of the model and the weights that a CPU decodes fastest, with their data, and nothing else', () => {
    expect(taken(ALL).sort()).toEqual([...WORDS, ...MORE, 'onnx/model_q4.onnx', 'onnx/model_q4.onnx_data'].sort());
    const { dtype, why } = chooseFiles(ALL, 'auto');
    expect(dtype).toBe('q4');
    expect(why).toBe(
      'dtype q4, the first of q4, q8, int8, uint8, fp32, bnb4, q4f16, fp16 (what a CPU decodes fastest) among q4, q8, fp32, q4f16, fp16',
    );
  });

  test.each([
    ['fp32', ['onnx/model.onnx', 'onnx/model.onnx_data', 'onnx/model.onnx_data_1', 'onnx/model.onnx_data_2']],
    ['fp16', ['onnx/model_fp16.onnx']],
    ['q8', ['onnx/model_quantized.onnx']],
    ['quantized', ['onnx/model_quantized.onnx']],
    ['q4f16', ['onnx/model_q4f16.onnx']],
  ] satisfies [DtypeChoice, string[]][])('dtype %s, as asked', (dtype, weights) => {
    expect(taken(ALL, dtype).filter((path) => path.includes('.onnx'))).toEqual(weights);
    expect(chooseFiles(ALL, dtype).why).toMatch(/as asked$/);
  });

  test('weights come last, so that a repository that cannot be loaded is found out early', () => {
    const paths = taken(ALL, 'fp32');
    expect(paths.findIndex((path) => path.includes('.onnx'))).toBe(WORDS.length + MORE.length);
  });

  test('weights at the root, and their data by either name', () => {
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

  test('of a GenAI layout, the decoder that its configuration names', () => {
    const genai = having('genai_config.json', 'tokenizer.json', 'tokenizer_config.json', 'phi.onnx', 'phi.onnx.data');
    expect(needsDecoderName(genai)).toBe(true);
    expect(needsDecoderName(ALL)).toBe(false);
    expect(taken(genai, 'auto', 'phi.onnx')).toEqual([
      'genai_config.json',
      'tokenizer.json',
      'tokenizer_config.json',
      'phi.onnx',
      'phi.onnx.data',
    ]);
    expect(chooseFiles(genai, 'auto', 'phi.onnx').why).toContain('genai_config.json names');
  });
});

describe('what is refused', () => {
  test.each([
    [ALL, 'bnb4', /org\/name has no weights of dtype bnb4; it has q4, q8, fp32, q4f16, fp16\./],
    [
      having(...WORDS, 'model.safetensors'),
      'auto',
      /has no onnx\/model\*\.onnx.*it has no \.onnx file at all: look for an ONNX export/,
    ],
    [
      having(...WORDS, 'cpu/model.onnx', 'onnx/x.onnx'),
      'auto',
      /its \.onnx files are cpu\/model\.onnx, onnx\/x\.onnx\./,
    ],
    [
      having('config.json', 'onnx/model.onnx'),
      'auto',
      /has no tokenizer\.json, no tokenizer_config\.json: the worker cannot load it/,
    ],
    [having('tokenizer.json', 'tokenizer_config.json', 'model.onnx'), 'auto', /has no config\.json/],
    [having('genai_config.json', ...WORDS), 'auto', /has no onnx\/model\*\.onnx/],
  ] satisfies [Repository, DtypeChoice, RegExp][])('%#', (repository, dtype, reason) => {
    expect(() => chooseFiles(repository, dtype)).toThrow(reason);
  });

  test('a decoder that is not there', () => {
    expect(() => taken(having('genai_config.json', ...WORDS), 'auto', 'phi.onnx')).toThrow(/has no phi\.onnx/);
  });
});
