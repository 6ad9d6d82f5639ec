/** Graphs of one node, and their results on the CPU and on WebGPU in software. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { FLOAT32, INT32, INT64, UINT8 } from '../../src/onnx/types.ts';
import { type Attribute, ModelWriter } from '../../src/onnx/write/model-writer.ts';
import { softwareVulkan } from './vulkan.ts';

const SCRIPT = fileURLToPath(new URL('graphs-on-device.mjs', import.meta.url));

export interface Tensor {
  readonly name: string;
  readonly type: number;
  readonly shape: readonly number[];
  /** Absent for an output. */
  readonly data?: readonly number[];
}

export interface OneNode {
  readonly operator: string;
  readonly domain?: string;
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /** undefined for an input that is left out. */
  readonly inputs: readonly (Tensor | undefined)[];
  readonly outputs: readonly Tensor[];
}

/** The result on one device: the values of each output, and the provider of each operator, or the error. */
export interface Computed {
  readonly values?: readonly (readonly number[])[];
  readonly providers?: readonly (readonly [operator: string, provider: string])[];
  readonly error?: string;
}

/** Float32 numbers between -scale and scale, always the same for a name and shape. */
export function floats(name: string, shape: readonly number[], scale = 1): Tensor {
  let state = [...name].reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), 7);
  const count = shape.reduce((product, size) => product * size, 1);
  const data = Array.from({ length: count }, () => {
    state = (state * 1103515245 + 12345) % 2 ** 31;
    return Math.fround((state / 2 ** 30 - 1) * scale);
  });
  return { name, type: FLOAT32, shape, data };
}

export const int32s = (name: string, ...data: readonly number[]): Tensor => ({
  ...{ name, type: INT32, shape: [data.length], data },
});
export const int64s = (name: string, ...data: readonly number[]): Tensor => ({
  ...{ name, type: INT64, shape: [data.length], data },
});
export const output = (name: string, ...shape: readonly number[]): Tensor => ({ name, type: FLOAT32, shape });

/** Random bytes, always the same for a name and shape. */
export const bytes = (name: string, shape: readonly number[]): Tensor => {
  const { data = [] } = floats(name, shape);
  return { name, type: UINT8, shape, data: data.map((value) => Math.floor((value + 1) * 128) & 255) };
};

/** A whole graph. The numbers of a float16 tensor are its bits. */
export interface WholeGraph {
  readonly model: Uint8Array;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  /** The folder of its weights. */
  readonly folder?: string;
}

/** Computes each node on the CPU and on WebGPU, in one process. */
export const computeOnBoth = (nodes: readonly OneNode[]): Promise<{ cpu: Computed; device: Computed }[]> =>
  compute(nodes.map(asCase));

/** Computes each graph on the CPU and on WebGPU with these options of the provider. */
export const computeGraphs = (
  graphs: readonly WholeGraph[],
  options: Readonly<Record<string, string>> = {},
  runs = 1,
): Promise<{ cpu: Computed; device: Computed }[]> =>
  compute(graphs.map(encoded), ['webgpu', JSON.stringify(options), String(runs)]);

/** Computes each graph on the CPU. */
export const computeOnCpu = async (graphs: readonly WholeGraph[]): Promise<Computed[]> =>
  (await compute(graphs.map(encoded), ['cpu'])).map(({ cpu }) => cpu);

const encoded = (graph: WholeGraph) => ({ ...graph, model: Buffer.from(graph.model).toString('base64') });

async function compute(
  cases: readonly object[],
  [device = 'webgpu', ...more]: readonly string[] = [],
): Promise<{ cpu: Computed; device: Computed }[]> {
  const folder = mkdtempSync(join(tmpdir(), 'one-node-'));
  try {
    const child = spawn(process.execPath, [SCRIPT, device, folder, ...more], {
      env: { ...softwareVulkan },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    child.stdin.end(JSON.stringify(cases));
    return JSON.parse(await text(child.stdout)) as { cpu: Computed; device: Computed }[];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function asCase({ operator, domain = '', attributes = {}, inputs, outputs }: OneNode) {
  const writer = new ModelWriter();
  for (const input of inputs) if (input) writer.input(input.name, input);
  const names = inputs.map((input) => input?.name ?? '');
  writer.node(operator, names, { domain, attributes, outputs: outputs.map(({ name }) => name) });
  for (const one of outputs) writer.output(one.name, one);
  const model = Buffer.from(writer.finish()).toString('base64');
  return { model, inputs: inputs.filter((input) => input !== undefined), outputs };
}
