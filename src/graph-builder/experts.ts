/**
 * A mixture of experts of one layer, as the operator QMoE of the runtime computes it. Pure.
 *
 * Facts about QMoE of version 1.30 on the CPU, read in moe_quantization_cpu.cc and measured: it takes the
 * logits of the router, chooses the largest ones, and weighs the results with the softmax over the chosen
 * logits, which equals the softmax over all logits divided by the sum of the chosen ones. It computes in
 * float32: activations are not quantized. The blocks have at least 16 weights, a power of 2. A zero point for
 * each block is allowed, a minimum is not.
 */
import type { Attribute, NodeOptions } from '../onnx/write/model-writer.ts';
import {
  type ExpertBiases,
  type ExpertsSpec,
  type GraphMatrix,
  isPacked,
  type PackedExperts,
  type TensorPlace,
} from '../protocol/decoder/decoder-spec.ts';
import type { DecoderGraph } from './decoder-graph.ts';
import { addJoinedWeights, addLinear } from './linear.ts';

/**
 * Adds the mixture of experts for the normed input `x` `[rows, tokens, hidden]`. Returns the name of the
 * result, of the same shape.
 * @throws RangeError for experts in a form that the operator does not read
 */
export function addExperts(graph: DecoderGraph, x: string, spec: ExpertsSpec<GraphMatrix>, name: string): string {
  const { router, experts, softmaxOver, normalizes } = spec;
  if (!isPacked(experts)) throw new RangeError(`The experts of ${name} are not packed`);
  checkForm(experts, name);
  const scores = addLinear(graph, x, router, `${name}.router`);
  const logits = graph.node('Reshape', [scores, graph.integers(-1, experts.count)]);
  // Otherwise the weights of the operator are right: see above.
  const isWhole = softmaxOver === 'all' && !normalizes;
  const weights = isWhole ? graph.node('Softmax', [logits], { attributes: { axis: { integer: -1 } } }) : '';
  const { gateUp, down, gateUpBias, downBias } = weightsOf(graph, experts, name);
  const inputs = [
    ...[x, logits, gateUp.values, gateUp.scales, gateUpBias, down.values, down.scales, downBias],
    ...['', '', '', gateUp.zeroPoints, down.zeroPoints, '', weights],
  ];
  return graph.microsoft('QMoE', withoutEnd(inputs), attributesOf(spec, experts));
}

function attributesOf(
  { chosen, activation }: ExpertsSpec<GraphMatrix>,
  { gateUp: { bits, blockSize } }: PackedExperts,
): NodeOptions {
  const clamped: Record<string, Attribute> =
    activation.kind === 'silu'
      ? { activation_alpha: { float: 1 }, activation_beta: { float: 0 } }
      : {
          activation_alpha: { float: activation.alpha },
          activation_beta: { float: 1 },
          swiglu_limit: { float: activation.limit },
        };
  return {
    attributes: {
      k: { integer: chosen },
      expert_weight_bits: { integer: bits },
      block_size: { integer: blockSize },
      activation_type: { text: 'swiglu' },
      // Rows of gate and up in turn.
      swiglu_fusion: { integer: 1 },
      ...clamped,
    },
  };
}

/** Names of the weights; '' for an absent one. */
interface ExpertWeights {
  readonly values: string;
  readonly scales: string;
  readonly zeroPoints: string;
}

function weightsOf(graph: DecoderGraph, experts: PackedExperts, name: string) {
  const { count, gateUp, down, biases } = experts;
  const matrix = ({ shape, bits, blockSize, ...places }: PackedExperts['down'], part: string): ExpertWeights => {
    const [rows = 0, input = 0] = shape;
    const form = [count, rows / count];
    const { values, scales, zeroPoints } = places;
    const blocks = [...form, input / blockSize];
    return {
      values: graph.stored({ ...values, shape: [...form, (input * bits) / 8] }, `${name}.${part}.weight`),
      scales: graph.weight({ ...scales, shape: blocks }, `${name}.${part}.scales`),
      zeroPoints: zeroPoints ? graph.stored({ ...zeroPoints, shape: blocks }, `${name}.${part}.zero_points`) : '',
    };
  };
  if (biases && 'gateUp' in biases) {
    return {
      ...{ gateUp: matrix(gateUp, 'gate_up'), down: matrix(down, 'down') },
      gateUpBias: graph.weight(biases.gateUp, `${name}.gate_up.bias`),
      downBias: graph.weight(biases.down, `${name}.down.bias`),
    };
  }
  const bias = (places: readonly TensorPlace[], part: string, width: number): string => {
    const joined = addJoinedWeights(graph, places, `${name}.${part}.bias`);
    return graph.node('Reshape', [joined, graph.integers(count, -1, width)]);
  };
  const inTurns = ({ gate, up }: ExpertBiases): string => {
    const pairs = graph.node('Concat', [bias(gate, 'gate', 1), bias(up, 'up', 1)], {
      attributes: { axis: { integer: 2 } },
    });
    return graph.node('Reshape', [pairs, graph.integers(count, -1)]);
  };
  return {
    gateUp: matrix(gateUp, 'gate_up'),
    down: matrix(down, 'down'),
    gateUpBias: biases ? inTurns(biases) : '',
    downBias: biases ? graph.node('Reshape', [bias(biases.down, 'down', 1), graph.integers(count, -1)]) : '',
  };
}

/**
 * The operator reads the number of blocks in a row of the first matrix from its scales: with one block in a
 * row, it takes the scales of both matrices for those of whole rows.
 */
function checkForm({ gateUp, down }: PackedExperts, name: string): void {
  const [first, second] = [gateUp, down].map(({ bits, blockSize }) => `${bits} bits, blocks of ${blockSize}`);
  if (first !== second) throw new RangeError(`${name} has matrices of different forms: ${first} and ${second}`);
  if ((gateUp.shape[1] ?? 0) <= gateUp.blockSize)
    throw new RangeError(`${name} has one block of ${gateUp.blockSize} weights in a row; allowed: two blocks or more`);
  if (gateUp.minimums || down.minimums) throw new RangeError(`${name} has weights with minimums`);
}

/** Absent inputs at the end of a list are left out. */
function withoutEnd(inputs: readonly string[]): string[] {
  const last = inputs.findLastIndex((input) => input !== '');
  return inputs.slice(0, last + 1);
}
