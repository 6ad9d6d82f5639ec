/**
 * The generated models match their table and expected.json: each file is listed, and no continuation depends
 * on rounding.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../models', import.meta.url));
const read = (file: string): string => readFileSync(join(root, file), 'utf8');

interface Continuation {
  readonly prompt: readonly number[];
  readonly ids: readonly number[];
  readonly margins: readonly number[];
}
interface Expected {
  readonly made: string;
  readonly vocab: number;
  /** By name: type and shape, such as `int64 [batch_size, sequence_length]`. */
  readonly inputs: Readonly<Record<string, string>>;
  readonly outputs: Readonly<Record<string, string>>;
  readonly leastMargin?: number;
  readonly continuations?: readonly Continuation[];
  readonly refused?: string;
}

const { models }: { models: Record<string, Expected> } = JSON.parse(read('expected.json'));
const all = Object.entries(models);
const described = all.flatMap(([file, { leastMargin, continuations }]) =>
  leastMargin === undefined || continuations === undefined ? [] : [{ file, leastMargin, continuations }],
);
const EOS = 257;
const isLeast = (file: string): boolean => models[file]?.vocab === 64;

describe('expected.json', () => {
  it('describes every model file, and no other', () => {
    const files = readdirSync(root, { recursive: true, encoding: 'utf8' });
    expect(Object.keys(models).sort()).toEqual(files.filter((file) => file.endsWith('.onnx')).sort());
  });

  it('has continuations of all models except the one to be refused', () => {
    const others = all.filter(([, { continuations }]) => continuations === undefined);
    expect(others.map(([file, { refused }]) => [file, refused])).toEqual([
      ['encoder/model.onnx', 'encoder_hidden_states'],
    ]);
    expect(Object.keys(models['encoder/model.onnx']?.inputs ?? {})).toContain('encoder_hidden_states');
  });

  it.each(described)('$file: 24 ids of its vocabulary for each length of prompt', ({ file, continuations }) => {
    const vocab = models[file]?.vocab ?? 0;
    expect(continuations.map(({ prompt }) => prompt.length)).toEqual(isLeast(file) ? [1, 5, 40] : [1, 5, 40, 150]);
    for (const { prompt, ids } of continuations) {
      expect(ids).toHaveLength(24);
      expect([...prompt, ...ids].every((id) => Number.isInteger(id) && id >= 0 && id < vocab && id !== EOS)).toBe(true);
    }
  });

  it.each(described)('$file: every step has at least the stated margin', ({ leastMargin, continuations }) => {
    for (const { ids, margins } of continuations) {
      expect(margins).toHaveLength(ids.length);
      expect(Math.min(...margins)).toBeGreaterThanOrEqual(leastMargin);
    }
  });

  it('states wider margins where more is rounded', () => {
    for (const { file, leastMargin } of described) {
      const { inputs, outputs, made } = models[file] as Expected;
      const types = Object.values({ ...inputs, ...outputs }).join();
      const rounded = made.includes('q4') && !made.includes('--accuracy-level 0') && !made.includes('--softcap');
      expect([file, leastMargin]).toEqual([
        file,
        types.includes('float16') ? 0.1 : rounded ? 2 : file === 'fp32/model.onnx' ? 2 : 0.05,
      ]);
    }
  });

  it.each(described.filter(({ file }) => !isLeast(file)))('$file: generates different ids', ({ continuations }) => {
    for (const { prompt, ids } of continuations) {
      expect(new Set(ids).size).toBeGreaterThanOrEqual(8);
      expect(String.fromCharCode(...prompt)).toMatch(/^[ -~]+$/);
    }
    expect(new Set(continuations.map(({ ids }) => ids.join())).size).toBe(continuations.length);
  });
});

describe('the models', () => {
  it.each(all)('%s: its graph names the listed inputs and outputs, in pairs of one type and shape', (file, model) => {
    const graph = readFileSync(join(root, file));
    for (const name of [...Object.keys(model.inputs), ...Object.keys(model.outputs)])
      expect(graph.includes(name)).toBe(true);
    const pasts = Object.entries(model.inputs).filter(([name]) => name.startsWith('past'));
    const [, ...presents] = Object.entries(model.outputs);
    expect(pasts.length).toBeGreaterThan(0);
    const grown = pasts.map(([, port]) => port.replace('past_sequence_length', 'total_sequence_length'));
    expect(presents.map(([, port]) => port)).toEqual(grown);
  });

  it('have caches, logits and inputs of all kinds', () => {
    const caches = (file: string): string[] =>
      Object.keys(models[file]?.inputs ?? {}).filter((name) => /^past/.test(name));
    const { outputs: half = {} } = models['fp16/model.onnx'] ?? {};
    expect(Object.values(half).every((port) => port.startsWith('float16'))).toBe(true);
    const { inputs = {}, outputs = {} } = models['mixed/model.onnx'] ?? {};
    expect([inputs['past_key_values.0.key'], outputs['logits']].map((port) => port?.split(' ')[0])).toEqual([
      'float16',
      'float32',
    ]);
    expect([inputs['position_ids'], inputs['num_logits_to_keep']]).toEqual([
      'int64 [batch_size, sequence_length]',
      'int64 []',
    ]);
    expect(caches('combined/model.onnx')).toEqual(['past_0', 'past_1']);
    expect(caches('without-attention/model.onnx').map((name) => name.replace(/\D/g, ''))).toEqual(['0', '0', '2', '2']);
    expect(caches('shared-caches/model.onnx').map((name) => name.replace(/\D/g, ''))).toEqual(['0', '0', '1', '1']);
    expect(caches('underscores/model.onnx').slice(0, 2)).toEqual(['past_key_0', 'past_value_0']);
  });

  it.each([
    ['external/model.onnx', ['model.onnx_data']],
    ['split/model.onnx', ['model.onnx_data', 'model.onnx_data_1']],
    ['hub/onnx/model.onnx', ['model.onnx_data']],
    ['genai/model.onnx', ['model.onnx.data']],
  ])('%s: names the files that its weights lie in', (file, names) => {
    const graph = readFileSync(join(root, file), 'latin1');
    const folder = readdirSync(join(root, dirname(file)));
    expect(
      folder.filter((name) => name.startsWith(`${basename(file)}.`) || name.startsWith(`${basename(file)}_`)),
    ).toEqual(names);
    for (const name of names) expect(graph).toMatch(new RegExp(`location\\W+${name.replaceAll('.', '\\.')}`));
  });
});

describe('whole folders', () => {
  it('hub: has what transformers.js looks for', () => {
    expect(readdirSync(join(root, 'hub')).sort()).toEqual([
      'config.json',
      'generation_config.json',
      'onnx',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    expect(JSON.parse(read('hub/config.json'))).toMatchObject({
      vocab_size: models['hub/onnx/model.onnx']?.vocab,
      eos_token_id: EOS,
    });
  });

  it.each(['genai', 'renamed'])('%s: its genai_config.json names the inputs and outputs', (folder) => {
    const { decoder } = JSON.parse(read(`${folder}/genai_config.json`)).model;
    const { inputs, outputs } = models[`${folder}/${decoder.filename}`] as Expected;
    const layers = Array.from({ length: decoder.num_hidden_layers }, (_, layer) => String(layer));
    const names = (patterns: Record<string, string>): string[] =>
      Object.values(patterns).flatMap((name) =>
        name.includes('%d') ? layers.map((layer) => name.replace('%d', layer)) : [name],
      );
    expect(names(decoder.inputs).sort()).toEqual(Object.keys(inputs).sort());
    expect(names(decoder.outputs).sort()).toEqual(Object.keys(outputs).sort());
    expect(readdirSync(join(root, folder))).not.toContain('config.json');
  });
});

it('the table of the README has every model with the arguments that generated it', () => {
  const rows = read('README.md')
    .split('\n')
    .filter((line) => line.startsWith('| `'));
  const cells = rows.map((row) => [...row.matchAll(/`([^`]+)`/g)].map(([, text]) => text));
  const shape = (file: string): string => `--shape ${isLeast(file) ? 'least' : 'bytes --width 0.3'}`;
  const listed = cells.map(([file = '', ...others]) => [file, `${shape(file)} ${others.at(-1)}`]);
  expect(Object.fromEntries(listed)).toEqual(Object.fromEntries(all.map(([file, { made }]) => [file, made])));
});
