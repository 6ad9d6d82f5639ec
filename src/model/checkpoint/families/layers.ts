/** Builds the description of the layers from the tensors of the checkpoint. Pure. */
import type {
  AttentionSpec,
  LayerSpec,
  LinearSpec,
  MlpSpec,
  NormSpec,
} from '../../../protocol/decoder/decoder-spec.ts';
import { type ExpertsPlan, expertsOf } from './experts.ts';
import type { Activation, Family, Scales, Sizes } from './family.ts';
import type { LayerKind } from './layer-kinds.ts';
import { type CheckpointTensors, rowsOf } from './tensors.ts';

/** The facts that all layers share. */
export interface LayerPlan {
  readonly family: Family;
  readonly tensors: CheckpointTensors;
  readonly sizes: Sizes;
  readonly scales: Scales;
  readonly epsilon: number;
  readonly activation: Activation;
  /** Positions that the worker uses. */
  readonly context: number;
  readonly hasAttentionBias: boolean;
  readonly hasMlpBias: boolean;
  /** Absent: all layers have MLPs. */
  readonly experts?: ExpertsPlan;
}

/** The names of the tensors of a layer begin with `<body>layers.<layer>.`. */
export function layerOf(plan: LayerPlan, { body, layer }: LayerPlace, kind: LayerKind): LayerSpec {
  const { family, sizes, scales, tensors, experts } = plan;
  const prefix = `${body}layers.${layer}.`;
  const { attentionIn, attentionOut, mlpIn, mlpOut } = family.norms;
  const norm = (name: string): NormSpec => normOf(plan, `${prefix}${name}`, sizes.hidden);
  return {
    attention: attentionOf(plan, `${prefix}self_attn.`, kind),
    ...(attentionIn === undefined ? {} : { attentionInNorm: norm(attentionIn) }),
    ...(attentionOut === undefined ? {} : { attentionOutNorm: norm(attentionOut) }),
    mlp: experts?.isSparse(layer)
      ? expertsOf(experts, { tensors, prefix: `${prefix}mlp.`, hidden: sizes.hidden })
      : mlpOf(plan, `${prefix}mlp.`),
    ...(mlpIn === undefined ? {} : { mlpInNorm: norm(mlpIn) }),
    ...(mlpOut === undefined ? {} : { mlpOutNorm: norm(mlpOut) }),
    residualScale: scales.residual,
  };
}

/** The place of the tensors of a layer. */
export interface LayerPlace {
  /** Prefix of the decoder, with a dot behind it. */
  readonly body: string;
  readonly layer: number;
}

/** The norm whose weight is `<name>.weight`. @param size number of its elements. */
export function normOf(plan: Pick<LayerPlan, 'family' | 'tensors' | 'epsilon'>, name: string, size: number): NormSpec {
  const weight = plan.tensors.take(`${name}.weight`, [size]);
  const { problems } = plan.tensors;
  return { weight, epsilon: plan.epsilon, offset: problems.origin.hasWholeNorms ? 0 : plan.family.normOffset };
}

/** A window of at least the context hides nothing and is left out. */
function attentionOf(plan: LayerPlan, prefix: string, kind: LayerKind): AttentionSpec {
  const { sizes, scales, tensors, context } = plan;
  const { heads, kvHeads, headSize, hidden } = sizes;
  const window = kind.window !== undefined && kind.window < context ? kind.window : undefined;
  return {
    ...projections(plan, prefix),
    output: tensors.linear(`${prefix}o_proj`, [hidden, heads * headSize], plan.hasAttentionBias),
    heads,
    kvHeads,
    headSize,
    scale: scales.attention,
    ...(kind.rotary === undefined ? {} : { rotary: kind.rotary }),
    ...(window === undefined ? {} : { window }),
    ...(scales.attentionSoftcap === undefined ? {} : { softcap: scales.attentionSoftcap }),
    ...queryKeyNorms(plan, prefix),
    ...(plan.family.hasSinks && { sinks: tensors.take(`${prefix}sinks`, [heads]) }),
  };
}

/** `qkv_proj` has the rows of all queries, then of all keys, then of all values (modeling_phi3.py). */
function projections(plan: LayerPlan, prefix: string): Pick<AttentionSpec, 'q' | 'k' | 'v'> {
  const { family, sizes, tensors } = plan;
  const [queries, keys] = [sizes.heads * sizes.headSize, sizes.kvHeads * sizes.headSize];
  if (family.isPacked) {
    const packed = tensors.linear(`${prefix}qkv_proj`, [queries + 2 * keys, sizes.hidden]);
    const [q = packed, k = packed, v = packed] = split(packed, [queries, keys, keys]);
    return { q, k, v };
  }
  const linear = (name: string, out: number): LinearSpec =>
    tensors.linear(prefix + name, [out, sizes.hidden], family.qkvBias ?? plan.hasAttentionBias);
  return { q: linear('q_proj', queries), k: linear('k_proj', keys), v: linear('v_proj', keys) };
}

function queryKeyNorms(plan: LayerPlan, prefix: string): Pick<AttentionSpec, 'qNorm' | 'kNorm' | 'normOver'> {
  const { qkNorm } = plan.family;
  if (qkNorm === undefined) return {};
  const { heads, kvHeads, headSize } = plan.sizes;
  const norm = (name: string, count: number): NormSpec =>
    normOf(plan, prefix + name, qkNorm === 'head' ? headSize : count * headSize);
  return { qNorm: norm('q_norm', heads), kNorm: norm('k_norm', kvHeads), normOver: qkNorm };
}

/** `gate_up_proj` has the rows of the gate, then those of `up` (modeling_phi3.py). */
function mlpOf(plan: LayerPlan, prefix: string): MlpSpec {
  const { family, sizes, tensors, activation, hasMlpBias } = plan;
  const { hidden, intermediate } = sizes;
  const linear = (name: string, shape: readonly [number, number]): LinearSpec =>
    tensors.linear(prefix + name, shape, hasMlpBias);
  const down = linear('down_proj', [hidden, intermediate]);
  if (!family.isPacked) {
    const shape = [intermediate, hidden] as const;
    return { gate: linear('gate_proj', shape), up: linear('up_proj', shape), down, activation };
  }
  const packed = linear('gate_up_proj', [2 * intermediate, hidden]);
  const [gate = packed, up = packed] = split(packed, [intermediate, intermediate]);
  return { gate, up, down, activation };
}

/** Parts of a packed matrix without a bias, one behind the other. */
function split({ weight }: LinearSpec, rows: readonly number[]): readonly LinearSpec[] {
  let first = 0;
  return rows.map((count) => {
    first += count;
    return { weight: rowsOf(weight, first - count, count) };
  });
}
