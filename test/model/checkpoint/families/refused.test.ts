import { describe, expect, test } from 'vitest';
import { decoderSpecOf } from '../../../../src/model/checkpoint/families/decoder-spec.ts';
import { tensorsOf } from './checkpoint.ts';
import { CONFIGURATIONS, type Config, type ModelName } from './configurations.ts';
import { problemsOf } from './problems.ts';

const problemsWith = (name: ModelName, change: Config): string[] => {
  const config: Config = CONFIGURATIONS[name];
  return problemsOf(() => decoderSpecOf({ ...config, ...change }, tensorsOf(config), 64));
};

describe('a configuration that the worker does not compute', () => {
  test('an unknown model type is refused with the known ones', () => {
    const [problem] = problemsOf(() => decoderSpecOf({ model_type: 'mamba' }, new Map(), 64));
    expect(problem).toBe(
      'config.json has "model_type" "mamba"; allowed: llama, mistral, qwen2, qwen3, qwen3_moe, phi3, gemma, ' +
        'gemma2, gemma3_text, gemma3, granite, smollm3, olmo2, gpt_oss. Use an ONNX export of the model',
    );
    expect(problemsOf(() => decoderSpecOf({}, new Map(), 64))[0]).toContain(
      'config.json lacks "model_type"; allowed: ',
    );
  });

  test.each([
    ['gptq', 'Qwen2.5-0.5B', { quantization_config: { quant_method: 'gptq', bits: 4 } }],
    ['awq', 'Llama-3.2-1B', { quantization_config: { quant_method: 'awq' } }],
    ['bitsandbytes', 'Llama-3.2-1B', { quantization_config: { quant_method: 'bitsandbytes', load_in_4bit: true } }],
    ['fp8', 'Qwen3-0.6B', { quantization_config: { quant_method: 'fp8' } }],
  ] as const)('weights quantized by %s are refused by the name of the method', (method, name, change) => {
    expect(problemsWith(name, change)).toEqual([
      `config.json has "quantization_config" with the method "${method}"; allowed: weights without quantization, ` +
        'in float32, float16 or bfloat16. Use the original checkpoint of the model, or an ONNX export',
    ]);
  });

  test('weights of another family in MXFP4 are refused with a GGUF file as the way out', () => {
    const change = { quantization_config: { quant_method: 'mxfp4' } };
    expect(problemsWith('Llama-3.2-1B', change)[0]).toMatch(/the method "mxfp4"; .* Use a GGUF file of the model$/);
  });

  test('the form of MLX and a quantized text part are refused too', () => {
    expect(problemsWith('Llama-3.2-1B', { quantization: { group_size: 64, bits: 4 } })[0]).toContain(
      'has "quantization" {"group_size":64,"bits":4}; allowed: weights without quantization',
    );
    const text_config = {
      ...CONFIGURATIONS['gemma-3-4b-it'].text_config,
      quantization_config: { quant_method: 'fp8' },
    };
    expect(problemsWith('gemma-3-4b-it', { text_config })[0]).toContain('with the method "fp8"');
  });

  test('an unknown field is refused by name with its value and the way out', () => {
    expect(problemsWith('Mistral-7B-v0.1', { document_attention: true })).toEqual([
      'config.json has the unknown field "document_attention" with the value true; ' +
        'allowed: the fields of the model type mistral. Use an ONNX export of the model',
    ]);
  });

  const values: readonly (readonly [ModelName, Config, string])[] = [
    [
      'Llama-3.2-1B',
      { hidden_act: 'gelu' },
      'has "hidden_act" "gelu"; allowed: silu, swish, gelu_pytorch_tanh, gelu_new',
    ],
    [
      'gemma-2-2b',
      { hidden_activation: 'silu' },
      'has "hidden_activation" "silu"; allowed: gelu_pytorch_tanh, gelu_new',
    ],
    ['gemma-2b', { hidden_activation: 'gelu' }, 'has "hidden_activation" "gelu"; allowed: null, "gelu_pytorch_tanh"'],
    ['Qwen2.5-0.5B', { attention_bias: true }, 'has "attention_bias" true; allowed: false'],
    ['Mistral-7B-v0.1', { mlp_bias: true }, 'has "mlp_bias" true; allowed: false'],
    ['Phi-4-mini', { lm_head_bias: true }, 'has "lm_head_bias" true; allowed: false'],
    ['Llama-3.2-1B', { sliding_window: 4096 }, 'has "sliding_window" 4096; allowed: null'],
    ['Llama-3.2-1B', { rope_interleaved: true }, 'has "rope_interleaved" true; allowed: false'],
    [
      'gemma-3-1b-it',
      { use_bidirectional_attention: true },
      '"use_bidirectional_attention" true; allowed: false, null',
    ],
    ['Llama-3.2-1B', { num_key_value_heads: 5 }, '5; allowed: a divisor of "num_attention_heads", 32'],
    [
      'TinyLlama-1.1B',
      { num_attention_heads: 12, num_key_value_heads: 4 },
      'has "hidden_size" 2048; allowed: a multiple',
    ],
    ['Llama-3.2-1B', { rms_norm_eps: null }, 'has "rms_norm_eps" null; allowed: a number above 0'],
    ['Llama-3.2-1B', { num_hidden_layers: 1e6 }, 'has "num_hidden_layers" 1000000; allowed: an integer from 1 to 1024'],
    ['Llama-3.2-1B', { rope_theta: Number.NaN }, 'has "rope_theta" NaN; allowed: a number above 0 and below 3.4e38'],
    ['Llama-3.2-1B', { rope_theta: Number.POSITIVE_INFINITY }, 'has "rope_theta" Infinity; allowed: a number above 0'],
    ['Llama-3.2-1B', { rms_norm_eps: 1e308 }, 'has "rms_norm_eps" 1e+308; allowed: a number above 0 and below'],
    ['Llama-3.2-1B', { vocab_size: '128256' }, 'has "vocab_size" "128256"; allowed: an integer from 1 to 16777216'],
    ['Llama-3.2-1B', { tie_word_embeddings: 1 }, 'has "tie_word_embeddings" 1; allowed: true, false'],
    ['gemma-2-2b', { attn_logit_softcapping: 0 }, 'has "attn_logit_softcapping" 0; allowed: a number above 0'],
    ['granite-3.3-2b', { logits_scaling: -1 }, 'has "logits_scaling" -1; allowed: a number above 0'],
    ['Qwen3-0.6B', { layer_types: ['full_attention'] }, 'a list of 28 elements: full_attention, sliding_attention'],
    ['SmolLM3-3B', { no_rope_layers: [] }, 'has "no_rope_layers" []; allowed: a list of 36 elements: 0, 1'],
    ['gemma-2-2b', { sliding_window: null }, 'has "sliding_window" null; allowed: the window of the layers'],
    [
      'gemma-2-2b',
      { sliding_window_size: 2048 },
      'has "sliding_window_size" 2048; allowed: the value of "sliding_window"',
    ],
    ['gemma-3-1b-it', { _sliding_window_pattern: 4 }, 'has "_sliding_window_pattern" 4; allowed: 6'],
    ['Mistral-7B-v0.1', { layer_types: [] }, 'has the unknown field "layer_types" with the value []'],
    ['gemma-3-4b-it', { text_config: null }, 'has "text_config" null; allowed: an object that describes the part for'],
    ['gemma-3-4b-it', { audio_config: {} }, 'has the unknown field "audio_config" with the value {}'],
    [
      'gemma-3-4b-it',
      { text_config: { model_type: 'gemma2' } },
      'has "text_config.model_type" "gemma2"; allowed: gemma3',
    ],
    ['Qwen3-0.6B', { num_experts: 128 }, 'has the unknown field "num_experts" with the value 128'],
  ];
  test.each(values)('%s with %j', (name, change, sentence) => {
    const problems = problemsWith(name, change);
    expect(problems.join('\n')).toContain(sentence);
    for (const problem of problems) expect(problem).toMatch(/; allowed: .*\. Use an ONNX export of the model$/);
  });

  test('a class that does not predict tokens is refused, and foreign code without the name of a known class', () => {
    expect(problemsWith('Llama-3.2-1B', { architectures: ['LlamaForSequenceClassification'] })[0]).toContain(
      'has "architectures" ["LlamaForSequenceClassification"]; allowed: a list of "LlamaForCausalLM"',
    );
    const auto_map = { AutoModelForCausalLM: 'modeling_other.OtherForCausalLM' };
    expect(problemsWith('Llama-3.2-1B', { architectures: ['OtherForCausalLM'], auto_map })).not.toEqual([]);
    expect(problemsWith('Llama-3.2-1B', { architectures: [], auto_map })[0]).toContain('has "auto_map" {"AutoModel');
    expect(problemsWith('Llama-3.2-1B', { architectures: ['LlamaForCausalLM'], auto_map })).toEqual([]);
  });

  test('all problems are reported at once', () => {
    const problems = problemsWith('Llama-3.2-1B', { hidden_act: 'relu', foo: 1, rope_scaling: { type: 'dynamic' } });
    expect(problems).toHaveLength(3);
  });

  test('long foreign names and values are shortened', () => {
    const [problem] = problemsWith('Llama-3.2-1B', { ['x'.repeat(10_000)]: 'y'.repeat(10_000) });
    expect(problem?.length).toBeLessThan(400);
  });
});
