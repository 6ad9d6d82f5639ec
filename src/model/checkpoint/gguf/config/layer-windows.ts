/**
 * The layers with a sliding window. Source: `set_swa_pattern` in llama-hparams.cpp of llama.cpp. A window
 * of w has the same meaning as in transformers. Pure.
 */
import type { MetadataFields } from './metadata-fields.ts';

const [WINDOW, PATTERN] = ['attention.sliding_window', 'attention.sliding_window_pattern'] as const;
/** More layers than a model has; the reader of the configuration refuses them. */
const MOST_LAYERS = 1024;

/** The window; undefined for 0 and for a file without the key. */
export function windowOf(fields: MetadataFields): number | undefined {
  return fields.nonzero(WINDOW);
}

/**
 * The types of the layers, as in `layer_types` of config.json. The key is a list with a flag for each
 * layer, or a number n: each n-th layer reads all tokens, 0 means that no layer does.
 * @param usual the number in a file without the key.
 */
export function layerTypes(fields: MetadataFields, layers: number, usual: number): readonly string[] {
  const count = Math.min(layers, MOST_LAYERS);
  const typed = (isWindowed: (layer: number) => boolean): readonly string[] =>
    Array.from({ length: count }, (_, layer) => (isWindowed(layer) ? 'sliding_attention' : 'full_attention'));
  const value = fields.value(PATTERN);
  if (typeof value === 'object') {
    const flags = Array.from(value, Number);
    if (flags.length === layers && flags.every((flag) => flag === 0 || flag === 1))
      return typed((layer) => flags[layer] === 1);
    fields.refuse(PATTERN, `a list of ${layers} flags, a whole number`);
    return [];
  }
  const period = value ?? usual;
  if (typeof period === 'number' && Number.isInteger(period) && period >= 0)
    return typed((layer) => period === 0 || layer % period < period - 1);
  fields.refuse(PATTERN, `a list of ${layers} flags, a whole number`);
  return [];
}
