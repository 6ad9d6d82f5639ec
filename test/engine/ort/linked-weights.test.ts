/** Weights behind links: the engine opens the files that the worker has checked, and no other. */
import {
  closeSync,
  copyFileSync,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readModel } from '../../../src/engine/ort/model-file.ts';
import { withExternalData } from '../../../src/onnx/external-data.ts';
import { Bench, modelFile } from '../harness.ts';

let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'linked-')));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Writes the embedded model as a small graph and a file of weights, which the graph names `location`. */
function split(graph: string, weights: string, location: string): void {
  for (const path of [graph, weights]) mkdirSync(dirname(path), { recursive: true });
  copyFileSync(modelFile, weights);
  const file = openSync(modelFile, 'r');
  const bytes = (from: number, to: number): Uint8Array => {
    const part = new Uint8Array(to - from);
    return part.subarray(0, readSync(file, part, 0, part.length, from));
  };
  const source = { window: (start: number) => ({ start, bytes: bytes(start, start + 1) }), bytes };
  writeFileSync(graph, withExternalData(source, fstatSync(file).size, { model: location, resolve: (name) => name }));
  closeSync(file);
}

/** The tokens that a model writes. */
async function tokensOf(file: string, weightFiles: readonly string[]): Promise<readonly number[]> {
  const bench = new Bench({ candidates: [{ device: 'cpu', modelFile: file, weightFiles }] });
  try {
    return (await bench.run()).ids;
  } finally {
    bench.engine.close();
  }
}

it.each([
  ['beside the graph', 'onnx/w', 'onnx/model.onnx'],
  ['in another folder of the model', 'data/w', 'onnx/model.onnx'],
  ['in another folder, as the graph is', 'data/w', 'graphs/one'],
])('external data behind a link is found %s', async (_, weights, graph) => {
  split(join(folder, graph), join(folder, weights), 'linked.data');
  mkdirSync(join(folder, 'onnx'), { recursive: true });
  symlinkSync(relative(join(folder, 'onnx'), join(folder, weights)), join(folder, 'onnx', 'linked.data'));
  const model = join(folder, 'onnx', 'model.onnx');
  if (graph !== 'onnx/model.onnx') symlinkSync(join(folder, graph), model);
  const files = [join(folder, graph), join(folder, weights)];
  expect(readModel(model, { weightFiles: files }).edited).toBeDefined();
  expect(await tokensOf(model, files)).toEqual(await tokensOf(modelFile, [realpathSync(modelFile)]));
});

it('a link that was changed after the check is not followed', async () => {
  const [model, weights, other] = ['onnx/model.onnx', 'onnx/w', 'elsewhere/w'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  split(model, weights, 'w');
  mkdirSync(dirname(other));
  copyFileSync(weights, other);
  rmSync(weights);
  symlinkSync(other, weights);
  expect(readModel(model, { weightFiles: [model, weights] }).edited).toBeUndefined();
  await expect(tokensOf(model, [model, weights])).rejects.toThrow(/escapes model directory/);
});
