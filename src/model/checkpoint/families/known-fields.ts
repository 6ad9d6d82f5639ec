/**
 * Fields of config.json that do not change the computation of a decoder: at any value, or at the values
 * listed here. Source of the fields: `PretrainedConfig` of transformers 4.57.6 and 5.18.0
 * (configuration_utils.py), and configurations of the families on the hub. Pure.
 */
import { type ConfigFields, type Fields, isObject } from './config-fields.ts';
import { type Problems, quoted, shown } from './unsupported.ts';

const names = (text: string): string[] => text.trim().split(/\s+/);

/** Description of the model. decoder-spec.ts checks the classes; spec.ts reads `max_position_embeddings`. */
const ABOUT = names(`
  _name_or_path name_or_path auto_map _commit_hash model_name architectures model_type dtype torch_dtype
  transformers_version transformers.js_config is_llama_config unsloth_version unsloth_fixed max_position_embeddings max_sequence_length
  model_max_length tokenizer_class prefix task_specific_params finetuning_task problem_type id2label label2id
  num_labels`);
/** Fields of training. */
const TRAINING = names(`
  initializer_range attention_dropout resid_pdrop embd_pdrop hidden_dropout hidden_dropout_prob
  attention_probs_dropout_prob gradient_checkpointing neftune_noise_alpha z_loss_coefficient
  router_aux_loss_coef output_router_logits keys_to_ignore_at_inference`);
/**
 * Forms of the same computation in torch. `pretraining_tp` splits the matrices and adds the parts;
 * transformers 4.57.6 and 5.18.0 do not read it.
 */
const EXECUTION = names(`
  pretraining_tp use_cache cache_implementation return_dict return_dict_in_generate output_attentions
  output_hidden_states output_scores torchscript use_bfloat16 attn_implementation _attn_implementation
  _attn_implementation_autoset _attn_implementation_internal _flash_attn_2_enabled chunk_size_feed_forward is_decoder
  tf_legacy_loss`);
/** A leftover of Qwen2 in files of other families; the rows of Qwen read it. */
const LEFTOVERS = ['max_window_layers'];
/** Defaults of sampling, which old files have here instead of in generation_config.json. */
const SAMPLING = names(`
  temperature top_k top_p typical_p do_sample num_beams num_beam_groups diversity_penalty early_stopping
  length_penalty max_length min_length max_new_tokens no_repeat_ngram_size encoder_no_repeat_ngram_size
  repetition_penalty num_return_sequences remove_invalid_values exponential_decay_length_penalty
  bad_words_ids suppress_tokens begin_suppress_tokens`);
const HARMLESS = new Set([...ABOUT, ...TRAINING, ...EXECUTION, ...LEFTOVERS, ...SAMPLING]);
/** Ids of special tokens: `bos_token_id`, `boi_token_index` and similar names. */
const TOKEN_ID = /_token_(?:id|index)s?$/;

/** Fields, and their values without an effect. A row that reads a field is not concerned. */
const NEUTRAL: Readonly<Record<string, readonly unknown[]>> = {
  attention_bias: [false],
  mlp_bias: [false],
  qkv_bias: [false],
  lm_head_bias: [false],
  use_bias: [false],
  hidden_activation: [null],
  rope_interleaved: [false],
  rope_traditional: [false],
  partial_rotary_factor: [1],
  original_max_position_embeddings: [null],
  use_mrope: [false],
  sliding_window: [null],
  use_sliding_window: [false, null],
  use_bidirectional_attention: [false, null],
  is_encoder_decoder: [false],
  add_cross_attention: [false],
  cross_attention_hidden_size: [null],
  tie_encoder_decoder: [false],
  pruned_heads: [{}, null],
  quantization_config: [null],
};

/** Marks of quantized weights: of transformers, of MLX, of old tools. */
const QUANTIZATION = ['quantization_config', 'quantization', 'compression_config'];

const MXFP4_FIELD = 'quantization_config';

/** True for gpt-oss with experts in MXFP4, as its authors publish it. */
function hasMxfp4({ model_type: type, [MXFP4_FIELD]: value }: Fields): boolean {
  return type === 'gpt_oss' && isObject(value) && value['quant_method'] === 'mxfp4';
}

/** Reports quantized weights by the name of the method. */
export function refuseQuantization(config: Fields, problems: Problems): boolean {
  const isQuantized = (name: string): boolean => Object.hasOwn(config, name) && config[name] !== null;
  const found = QUANTIZATION.find(isQuantized);
  if (found === MXFP4_FIELD && hasMxfp4(config)) return false;
  if (found === undefined) return false;
  const { [found]: value } = config;
  const method = isObject(value) ? value['quant_method'] : undefined;
  const text = typeof method === 'string' ? `with the method ${shown(method)}` : shown(value);
  problems.config(
    `has ${quoted(found)} ${text}; allowed: weights without quantization, in float32, float16 or bfloat16`,
    method === 'mxfp4' ? 'Use a GGUF file of the model' : 'Use the original checkpoint of the model, or an ONNX export',
  );
  return true;
}

/**
 * Reports the fields that nobody has read and that can change the computation.
 * @param neutral fields of the family and their values without an effect.
 */
export function refuseUnknown(
  fields: ConfigFields,
  modelType: string,
  neutral: Readonly<Record<string, readonly unknown[]>> = {},
): void {
  const table = { ...NEUTRAL, ...neutral };
  for (const [name, value] of fields.unread()) {
    if (HARMLESS.has(name) || TOKEN_ID.test(name)) continue;
    const allowed = Object.hasOwn(table, name) ? table[name] : undefined;
    if (allowed?.some((one) => JSON.stringify(one) === JSON.stringify(value))) continue;
    if (allowed !== undefined) fields.refuse(name, allowed.map(shown).join(', '));
    else fields.refuseField(name, value, `the model type ${modelType}`);
  }
}
