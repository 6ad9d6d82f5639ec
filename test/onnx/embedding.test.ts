/** The rows of a decoder's embedding, read from its graph: ids beyond them are refused before a run. */
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { readModel } from '../../src/engine/ort/model-file.ts';
import { writeNode } from '../../src/onnx/edit/graph-edit.ts';
import { embeddingRows } from '../../src/onnx/embedding.ts';
import { Graph } from '../../src/onnx/graph.ts';
import { Message, writeBytes, writeNumber } from '../../src/onnx/protobuf.ts';
import { GRAPH, TENSOR } from '../../src/onnx/types.ts';
import { modelFile } from '../engine/harness.ts';

/** An initializer of these dimensions, without data. */
const table = (name: string, ...dimensions: number[]): Uint8Array[] =>
  writeBytes(GRAPH.initializer, [
    ...dimensions.map((size) => writeNumber(TENSOR.dimensions, size)),
    ...writeBytes(TENSOR.name, name),
  ]);
const graph = (...fields: Uint8Array[][]): Graph => new Graph(new Message(Buffer.concat(fields.flat())));

describe('the rows of the embedding', () => {
  it.each(['Gather', 'GatherBlockQuantized'])('are those of the table that %s selects from by the ids', (operator) => {
    const decoder = graph(writeNode(operator, ['embed', 'input_ids'], 'x'), table('embed', 1000, 64));
    expect(embeddingRows(decoder, 'input_ids')).toBe(1000);
    expect(embeddingRows(decoder, 'ids')).toBeUndefined();
  });

  it('are found behind a Cast, and are those of the smallest table', () => {
    const decoder = graph(
      writeNode('Cast', ['input_ids'], 'narrow'),
      writeNode('Gather', ['embed', 'narrow'], 'x'),
      writeNode('Gather', ['second', 'input_ids'], 'y'),
      writeNode('Gather', ['positions', 'other'], 'z'),
      table('embed', 1000, 64),
      table('second', 900, 64),
      table('positions', 10, 64),
    );
    expect(embeddingRows(decoder, 'input_ids')).toBe(900);
  });

  it('are unknown for a table that is computed', () => {
    expect(embeddingRows(graph(writeNode('Gather', ['computed', 'input_ids'], 'x')), 'input_ids')).toBeUndefined();
  });

  it.each(['fp32', 'fp16', 'q4f16', 'genai', 'split'])('are read from the model %s', (name) => {
    const folder = fileURLToPath(new URL(`../models/${name}/model.onnx`, import.meta.url));
    expect(readModel(folder).edited).toHaveProperty('embeddingRows');
  });

  it('are read from the embedded model', () => {
    expect(readModel(modelFile).edited?.embeddingRows).toBe(1024);
  });
});
