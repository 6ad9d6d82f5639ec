/**
 * The kinds of attention in the layers of a model: windows, and layers without positions. A window of w
 * lets a token read itself and the w − 1 tokens before it: `sliding_window_overlay` in masking_utils.py of
 * transformers 4.57.6 and 5.18.0, `kv_idx > q_idx - sliding_window`, for all families here. Pure.
 */
import type { ConfigFields } from './config-fields.ts';

export interface LayerKind {
  /** Absent: all tokens. */
  readonly window?: number;
  /** Index of the rotary embedding; absent: no positions. */
  readonly rotary?: number;
}

export type LayerKinds = (fields: ConfigFields, layers: number) => readonly LayerKind[];

const FULL: LayerKind = { rotary: 0 };
const LAYER_TYPES = ['full_attention', 'sliding_attention'] as const;
type LayerType = (typeof LAYER_TYPES)[number];
const layerType = {
  is: (value: unknown): value is LayerType => LAYER_TYPES.some((type) => type === value),
  allowed: LAYER_TYPES.join(', '),
};

/** All layers read all tokens. */
export const fullLayers: LayerKinds = (_fields, layers) => Array.from({ length: layers }, () => FULL);

/** `sliding_window` counts for all layers; null = none. Mistral, Phi-3. */
export const windowLayers: LayerKinds = (fields, layers) => {
  const window = fields.optionalCount('sliding_window');
  const kind: LayerKind = window === undefined ? FULL : { rotary: 0, window };
  return Array.from({ length: layers }, () => kind);
};

/**
 * `layer_types`, or the layers from `max_window_layers` on. A window counts only with `use_sliding_window`.
 * Source: configuration_qwen2.py, configuration_qwen3.py.
 */
export const qwenLayers: LayerKinds = (fields, layers) => {
  const size = fields.optionalCount('sliding_window');
  const window = fields.flag('use_sliding_window') ? size : undefined;
  const first = fields.value('max_window_layers') === 0 ? 0 : fields.count('max_window_layers');
  return typedLayers(fields, layers, {
    window,
    usual: (layer) => (window !== undefined && layer >= first ? 'sliding_attention' : 'full_attention'),
  });
};

/** Even layers have the window. Source: configuration_gemma2.py. */
export const gemma2Layers: LayerKinds = (fields, layers) => {
  const window = fields.optionalCount('sliding_window');
  if (fields.isGiven('sliding_window_size') && fields.value('sliding_window_size') !== window)
    fields.refuse('sliding_window_size', 'the value of "sliding_window"');
  return typedLayers(fields, layers, {
    window,
    usual: (layer) => (layer % 2 === 0 ? 'sliding_attention' : 'full_attention'),
  });
};

/**
 * Each layer with a number that `sliding_window_pattern` divides reads all tokens with the first rotary
 * embedding, the others have the window and the second one. Layers are counted from 1. Source:
 * configuration_gemma3.py: only the name without an underscore gives the pattern; the other one is a leftover
 * beside `layer_types`.
 */
export const gemma3Layers: LayerKinds = (fields, layers) => {
  const window = fields.optionalCount('sliding_window');
  const pattern = fields.count('sliding_window_pattern');
  const leftover = fields.value('_sliding_window_pattern');
  const isTyped = (fields.value('layer_types') ?? undefined) !== undefined;
  if (!isTyped && leftover !== undefined && leftover !== pattern)
    fields.refuse('_sliding_window_pattern', `${pattern}, the value of "sliding_window_pattern"`);
  const kinds = typedLayers(fields, layers, {
    window,
    usual: (layer) => ((layer + 1) % pattern === 0 ? 'full_attention' : 'sliding_attention'),
  });
  return kinds.map((kind) => (kind.window === undefined ? kind : { ...kind, rotary: 1 }));
};

const isBit = { is: (value: unknown): value is 0 | 1 => value === 0 || value === 1, allowed: '0, 1' };

/**
 * `no_rope_layers` has 1 for a layer with positions and 0 for a layer without them; if it is absent, each
 * layer with a number that `no_rope_layer_interval` divides has none. Only layers without positions have a
 * window. Source: configuration_smollm3.py and modeling_smollm3.py.
 */
export const smollm3Layers: LayerKinds = (fields, layers) => {
  const interval = fields.count('no_rope_layer_interval');
  const bits = fields.list('no_rope_layers', layers, isBit);
  const hasPositions = (layer: number): boolean => (bits ? bits[layer] === 1 : (layer + 1) % interval !== 0);
  const size = fields.optionalCount('sliding_window');
  const window = fields.flag('use_sliding_window') ? size : undefined;
  const kinds = typedLayers(fields, layers, {
    window,
    usual: (layer) => (window === undefined || hasPositions(layer) ? 'full_attention' : 'sliding_attention'),
  });
  return kinds.map(({ rotary: _, ...kind }, layer) => (hasPositions(layer) ? { ...kind, rotary: 0 } : kind));
};

/** The types of the layers: `layer_types`, else the rule of the family. */
function typedLayers(
  fields: ConfigFields,
  layers: number,
  rule: { readonly window: number | undefined; readonly usual: (layer: number) => LayerType },
): readonly LayerKind[] {
  const { window, usual } = rule;
  const types = fields.list('layer_types', layers, layerType) ?? Array.from({ length: layers }, (_, i) => usual(i));
  const needsWindow = types.includes('sliding_attention');
  if (needsWindow && window === undefined)
    fields.refuse('sliding_window', 'the window of the layers of the type sliding_attention, in use');
  return types.map((type) => (type === 'sliding_attention' && window !== undefined ? { rotary: 0, window } : FULL));
}
