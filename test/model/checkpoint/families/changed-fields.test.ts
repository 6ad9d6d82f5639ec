/** Properties of every field of every configuration. The models have few layers, because they are described often. */
import { describe, expect, test } from 'vitest';
import { decoderSpecOf } from '../../../../src/model/checkpoint/families/decoder-spec.ts';
import type { DecoderSpec } from '../../../../src/protocol/decoder/decoder-spec.ts';
import { tensorsOf } from './checkpoint.ts';
import { CONFIGURATIONS, type Config, MODEL_NAMES } from './configurations.ts';
import { problemsOf } from './problems.ts';

const LAYERS = 6;
const CONTEXT = 300;

/** The same model with six layers. */
function small(config: Config): Config {
  const text = config['text_config'];
  if (text !== undefined) return { ...config, text_config: small(text as Config) };
  const cut = (name: string): Config => {
    const list = config[name];
    return Array.isArray(list) ? { [name]: list.slice(0, LAYERS) } : {};
  };
  return { ...config, num_hidden_layers: LAYERS, ...cut('layer_types'), ...cut('no_rope_layers') };
}

/** The decoder, or the sentences with which it is refused. */
function outcome(config: Config, tensors: ReturnType<typeof tensorsOf>): DecoderSpec | string[] {
  let spec: DecoderSpec | undefined;
  const problems = problemsOf(() => {
    spec = decoderSpecOf(config, tensors, CONTEXT);
  });
  return spec ?? problems;
}

const ODD_VALUES: readonly unknown[] = [null, true, false, 0, -1, 0.5, 2 ** 40, 'text', '', [], [1], {}, { a: 1 }];
/** Fields with any value in files of the hub, and without an effect on the decoder. */
const HARMLESS = [
  'torch_dtype',
  'transformers_version',
  'use_cache',
  'bos_token_id',
  'eos_token_id',
  'pad_token_id',
  'initializer_range',
  'attention_dropout',
  'pretraining_tp',
  '_name_or_path',
  'cache_implementation',
];

/** Sizes that some files omit. */
const FIELDS_OF_ALL = ['hidden_size', 'vocab_size', 'num_attention_heads', 'head_dim', 'rms_norm_eps', 'rope_theta'];

describe.each(MODEL_NAMES)('%s', (name) => {
  const config = small(CONFIGURATIONS[name]);
  const tensors = tensorsOf(config);
  const spec = outcome(config, tensors);

  /** The configuration with another value of one field, in the part for text if there is one. */
  const withField = (key: string, value: unknown): Config => {
    const text = config['text_config'];
    const isInner = text !== undefined && !(key in config);
    return isInner ? { ...config, text_config: { ...(text as Config), [key]: value } } : { ...config, [key]: value };
  };

  test('a further field is refused by name, in each object of the file', () => {
    expect(spec).toHaveProperty('layers');
    const objects = ['', 'rope_scaling', 'text_config'].filter((key) => key === '' || config[key] instanceof Object);
    for (const key of objects) {
      const inner =
        key === '' ? { ...config, new_field: 5 } : { ...config, [key]: { ...(config[key] as Config), new_field: 5 } };
      const [problem] = outcome(inner, tensors) as string[];
      expect(problem).toContain(`the unknown field "${key === '' ? '' : `${key}.`}new_field" with the value 5`);
      expect(problem).toContain('Use an ONNX export of the model');
    }
  });

  test('fields without an effect are accepted with any value', () => {
    for (const key of HARMLESS)
      for (const value of ODD_VALUES) expect(outcome({ ...config, [key]: value }, tensors), key).toEqual(spec);
  });

  test('a field with an odd value changes nothing, or describes another decoder, or is refused by a sentence', () => {
    let refused = 0;
    const fields = [...Object.keys(config), ...FIELDS_OF_ALL];
    for (const key of fields)
      for (const value of ODD_VALUES) {
        const found = outcome(withField(key, value), tensors);
        if (!Array.isArray(found)) continue;
        refused += 1;
        for (const problem of found)
          expect(problem, `${key} = ${JSON.stringify(value)}`).toMatch(
            /^(?:config\.json (?:has|lacks) .*; allowed: .*|model\.safetensors .*|config\.json describes a model with \d+ more problems)/,
          );
      }
    expect(refused).toBeGreaterThan(100);
  });

  test('a file without a field has the default of the class, or is refused', () => {
    const text = (config['text_config'] ?? config) as Config;
    for (const key of Object.keys(text)) {
      const { [key]: _, ...rest } = text;
      const found = outcome(config === text ? rest : { ...config, text_config: rest }, tensors);
      if (Array.isArray(found)) expect(found.join(), key).toMatch(/lacks|allowed/);
      else expect(found.layers).toHaveLength(LAYERS);
    }
  });
});
