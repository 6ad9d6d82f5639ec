/** A decoder of one layer, and its graph, for tests of the structure of graphs. */
import { buildDecoder } from '../../src/graph-builder/build-decoder.ts';
import { CHOICES } from '../../src/graph-builder/choices.ts';
import { type Graph, parseModel } from '../../src/onnx/graph.ts';
import type { DecoderSpec, TensorPlace } from '../../src/protocol/decoder/decoder-spec.ts';
import type { DeviceKind } from '../../src/protocol/devices.ts';

export const [FLOAT, BRAIN_FLOAT] = [1, 16];
const BYTES: Readonly<Record<number, number>> = { 1: 4, 16: 2 };

export interface Shape {
  readonly type?: number;
  readonly headSize?: number;
  /** Bytes between two tensors in the file. */
  readonly gap?: number;
}

/** 4 query heads and 2 key/value heads; the tensors follow each other in the file in the order of their use. */
export function smallDecoder({ type = FLOAT, headSize = 16, gap = 0 }: Shape = {}): DecoderSpec<TensorPlace> {
  let offset = 64;
  const place = (...shape: number[]): TensorPlace => {
    const bytes = shape.reduce((product, size) => product * size, BYTES[type] ?? 0);
    const found = { file: 0, offset, bytes, type, shape };
    offset += bytes + gap;
    return found;
  };
  const linear = (out: number, into: number) => ({ weight: place(out, into) });
  const norm = () => ({ weight: place(32), epsilon: 1e-5, offset: 0 as const });
  const embedding = place(100, 32);
  const attention = {
    ...{ q: linear(4 * headSize, 32), k: linear(2 * headSize, 32), v: linear(2 * headSize, 32) },
    output: linear(32, 4 * headSize),
    ...{ heads: 4, kvHeads: 2, headSize, scale: headSize ** -0.5, rotary: 0 },
  };
  const mlp = { gate: linear(48, 32), up: linear(48, 32), down: linear(32, 48), activation: 'silu' as const };
  return {
    ...{ vocabSize: 100, hiddenSize: 32, embedding, embeddingScale: 1, logitScale: 1 },
    rotaries: [{ frequencies: Array.from({ length: headSize / 2 }, (_, pair) => 10 ** -pair), magnitude: 1 }],
    layers: [{ attention, mlp, attentionInNorm: norm(), mlpInNorm: norm(), residualScale: 1 }],
    finalNorm: norm(),
    head: { weight: embedding },
  };
}

/** The graph of a decoder on a device, with its only file. */
export function graphOf(spec: DecoderSpec<TensorPlace>, device: DeviceKind = 'cpu'): Graph {
  const { bytes } = buildDecoder(spec, { choices: CHOICES[device], files: ['model.safetensors'], positions: 64 });
  return parseModel(bytes)!.graph;
}
