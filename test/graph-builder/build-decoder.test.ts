/** The structure of the graphs of decoders. The ids that they compute: test/engine/checkpoints.test.ts. */
import { describe, expect, it } from 'vitest';
import { buildDecoder } from '../../src/graph-builder/build-decoder.ts';
import { CHOICES } from '../../src/graph-builder/choices.ts';
import { tensorInfoOf } from '../../src/onnx/graph.ts';
import { GRAPH } from '../../src/onnx/types.ts';
import { BRAIN_FLOAT, graphOf, smallDecoder } from './small-decoder.ts';

const operators = (graph: ReturnType<typeof graphOf>): string[] => graph.nodes.map(({ operator }) => operator);
const count = (graph: ReturnType<typeof graphOf>, operator: string): number =>
  operators(graph).filter((one) => one === operator).length;

describe('queries, keys and values', () => {
  it('are one matrix in the file, if their matrices are neighbours there', () => {
    const graph = graphOf(smallDecoder());
    expect(graph.constantShape('layers.0.attention.qkv.weight')).toEqual([128, 32]);
    expect(count(graph, 'Concat')).toBe(0);
  });

  it('are joined when the runtime opens the model, if they are apart', () => {
    const graph = graphOf(smallDecoder({ gap: 8 }));
    expect(count(graph, 'Concat')).toBe(1);
    // output, gate, up, down and the head besides.
    expect(count(graph, 'FusedMatMul')).toBe(6);
  });

  it('are one product on WebGPU too, which has no FusedMatMul', () => {
    const graph = graphOf(smallDecoder(), 'webgpu');
    expect([count(graph, 'MatMul'), count(graph, 'FusedMatMul')]).toEqual([6, 0]);
  });

  it('have products of their own on Core ML', () => {
    expect(count(graphOf(smallDecoder(), 'coreml'), 'MatMul')).toBe(8);
  });
});

describe('half floats', () => {
  it('are widened on the CPU, but the table of the embedding stays as it is', () => {
    const graph = graphOf(smallDecoder({ type: BRAIN_FLOAT }));
    const gather = graph.nodes.find(({ operator }) => operator === 'Gather');
    expect(gather?.inputs[0]).toBe('embedding.weight');
    expect(graph.producer('embedding.weight')).toBeUndefined();
  });

  it('are computed as they are on CUDA', () => {
    const graph = graphOf(smallDecoder({ type: BRAIN_FLOAT }), 'cuda');
    const { message } = graph;
    const caches = message.all(GRAPH.input).map((field) => tensorInfoOf(message, field));
    expect(caches.at(-1)).toEqual({ name: 'past_key_values.0.value', type: BRAIN_FLOAT, shape: [-1, 2, -1, 16] });
    expect(graph.nodes.every(({ operator, inputs }) => operator !== 'Cast' || !inputs[0]?.includes('weight'))).toBe(
      true,
    );
  });
});

it('adds the offset of a norm in float32, so that the runtime can do it once', () => {
  const spec = smallDecoder({ type: BRAIN_FLOAT });
  const graph = graphOf({ ...spec, finalNorm: { ...spec.finalNorm, offset: 1 } }, 'cuda');
  const norm = graph.nodes.findLast(({ operator }) => operator === 'SkipSimplifiedLayerNormalization');
  const narrowed = graph.producer(norm?.inputs[2] ?? '');
  const sum = graph.producer(narrowed?.inputs[0] ?? '');
  expect([narrowed?.operator, sum?.operator]).toEqual(['Cast', 'Add']);
  expect(graph.producer(sum?.inputs[0] ?? '')?.operator).toBe('Cast');
  expect(graph.constantShape(sum?.inputs[1] ?? '')).toEqual([]);
});

describe('a head size', () => {
  it.each([
    [8, 16],
    [20, 32],
    [24, 32],
    [64, 64],
  ])('of %i is stored as %i in the KV cache', (headSize, stored) => {
    const graph = graphOf(smallDecoder({ headSize }));
    const { message } = graph;
    const caches = message.all(GRAPH.input).map((field) => tensorInfoOf(message, field));
    expect(caches.at(-1)?.shape).toEqual([-1, 2, -1, stored]);
    expect(count(graph, 'Pad') > 0).toBe(headSize !== stored);
  });

  it('is padded in float32 if the graph computes in bfloat16, which Pad does not take', () => {
    const graph = graphOf(smallDecoder({ type: BRAIN_FLOAT, headSize: 20 }), 'cuda');
    const pads = graph.nodes.filter(({ operator }) => operator === 'Pad');
    expect(pads).toHaveLength(1);
    for (const { inputs, outputs } of pads) {
      expect(graph.producer(inputs[0] ?? '')?.operator).toBe('Cast');
      expect(graph.nodes.find((node) => node.inputs[0] === outputs[0])?.operator).toBe('Cast');
    }
  });
});

it('uses the bytes of the embedding for a tied head', () => {
  const graph = graphOf(smallDecoder());
  const head = graph.nodes.findLast(({ operator }) => operator === 'FusedMatMul');
  expect(head?.inputs[1]).toBe('embedding.weight');
});

it('refuses a tensor in a file that it does not know', () => {
  const options = { choices: CHOICES.cpu, files: [], positions: 64 };
  expect(() => buildDecoder(smallDecoder(), options)).toThrow('embedding.weight is in file 0 of 0');
});
