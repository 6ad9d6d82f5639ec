/** Builds the description of a mixture of experts from the tensors of the checkpoint. Pure. */
import type {
  ExpertActivation,
  ExpertSpec,
  ExpertsSpec,
  JoinedExperts,
  LinearSpec,
  SplitBlocks,
} from '../../../protocol/decoder/decoder-spec.ts';
import type { ConfigFields } from './config-fields.ts';
import type { CheckpointTensors } from './tensors.ts';

/** Most experts of a layer; the largest models of these families have 128. */
export const MOST_EXPERTS = 1024;
/** Values in a block of MXFP4. */
const BLOCK = 32;

/** The mixtures of experts of a model. */
export interface ExpertsPlan {
  /** Number of experts. */
  readonly count: number;
  readonly chosen: number;
  /** Width of an expert. */
  readonly inner: number;
  readonly softmaxOver: ExpertsSpec['softmaxOver'];
  readonly normalizes: boolean;
  readonly activation: ExpertActivation;
  /** Name of the router, without `.weight`. */
  readonly router: string;
  /** The router and the matrices of the experts have biases. */
  readonly hasBias: boolean;
  /** The configuration states that the experts are in MXFP4. */
  readonly isInMxfp4?: boolean;
  /** True for a layer with experts, false for a layer with an MLP. */
  readonly isSparse: (layer: number) => boolean;
}

/** The number of experts, and the number of chosen ones, which is not larger. */
export function expertCounts(
  fields: ConfigFields,
  names: { readonly count: string; readonly chosen: string },
): Pick<ExpertsPlan, 'count' | 'chosen'> {
  const count = fields.count(names.count, MOST_EXPERTS);
  return { count, chosen: fields.count(names.chosen, count) };
}

/**
 * The layers of Qwen3-MoE with experts: each layer with a number that `decoder_sparse_step` divides, counted
 * from 1, except for those in `mlp_only_layers`. Source: modeling_qwen2_moe.py, Qwen2MoeDecoderLayer.
 */
export function sparseLayers(fields: ConfigFields): ExpertsPlan['isSparse'] {
  const step = fields.count('decoder_sparse_step');
  const dense = fields.value('mlp_only_layers') ?? [];
  const isList = Array.isArray(dense) && dense.every((layer) => Number.isInteger(layer) && layer >= 0);
  if (!isList) fields.refuse('mlp_only_layers', 'a list of numbers of layers, null');
  return (layer) => (layer + 1) % step === 0 && !(isList && dense.includes(layer));
}

/** The place of the tensors of one mixture. */
export interface ExpertsPlace {
  readonly tensors: CheckpointTensors;
  /** Prefix of the tensors of the mixture, with a dot behind it. */
  readonly prefix: string;
  readonly hidden: number;
}

/** The mixture of one layer. The experts have matrices of their own: `experts.7.gate_proj.weight`. */
export function expertsOf(plan: ExpertsPlan, { tensors, prefix, hidden }: ExpertsPlace): ExpertsSpec {
  const joined = joinedBlocks(plan, { tensors, prefix, hidden });
  if (!joined) refuseJoined(plan, tensors, prefix);
  const { count, chosen, inner, softmaxOver, normalizes, activation, router, hasBias } = plan;
  const linear = (name: string, shape: readonly [number, number]): LinearSpec =>
    tensors.linear(prefix + name, shape, hasBias);
  const expert = (index: number): ExpertSpec => ({
    gate: linear(`experts.${index}.gate_proj`, [inner, hidden]),
    up: linear(`experts.${index}.up_proj`, [inner, hidden]),
    down: linear(`experts.${index}.down_proj`, [hidden, inner]),
  });
  return {
    router: linear(router, [count, hidden]),
    chosen,
    softmaxOver,
    normalizes,
    experts: joined ?? Array.from({ length: count }, (_, index) => expert(index)),
    activation,
  };
}

/**
 * The experts of gpt-oss as its authors publish them: all experts of a layer in one tensor of MXFP4, gate and
 * up in turn. Source: `convert_moe_packed_tensors` of transformers. Undefined if the file has none.
 */
function joinedBlocks(plan: ExpertsPlan, { tensors, prefix, hidden }: ExpertsPlace): JoinedExperts | undefined {
  const { count, inner, isInMxfp4 } = plan;
  const name = (part: string): string => `${prefix}experts.${part}`;
  if (!isInMxfp4 || !tensors.has(name('gate_up_proj_blocks'))) return undefined;
  const matrix = (part: string, rows: number, width: number): SplitBlocks => {
    const blocks = tensors.bytes(name(`${part}_blocks`), [count, rows, width / BLOCK, BLOCK / 2]);
    const scales = tensors.bytes(name(`${part}_scales`), [count, rows, width / BLOCK]);
    const { file, offset } = blocks;
    const bytes = blocks.bytes + scales.bytes;
    return { ...{ file, offset, bytes, scales, format: 'mxfp4' }, shape: [count * rows, width] };
  };
  return {
    count,
    gateUp: matrix('gate_up_proj', 2 * inner, hidden),
    down: matrix('down_proj', hidden, inner),
    biases: {
      gateUp: tensors.take(name('gate_up_proj_bias'), [count, 2 * inner]),
      down: tensors.take(name('down_proj_bias'), [count, hidden]),
    },
  };
}

/** Files of transformers have all experts of a layer of gpt-oss in one transposed tensor of floats. */
function refuseJoined({ isInMxfp4 }: ExpertsPlan, tensors: CheckpointTensors, prefix: string): void {
  const joined = `${prefix}experts.gate_up_proj`;
  if (!tensors.has(joined)) return;
  const allowed = `tensors of each expert, as ${prefix}experts.0.gate_proj.weight`;
  tensors.problems.tensor(
    `has all experts in the tensor "${joined}"; allowed: ${allowed}`,
    isInMxfp4 === undefined
      ? 'Use a GGUF file of the model'
      : 'Use the checkpoint of its authors, which has the experts in MXFP4, or a GGUF file of the model',
  );
  tensors.problems.check();
}
