/**
 * What crosses between host and WebGPU in a step of decoding: the same bytes however long the context is. The runtime's own profile tells
 * what is copied within a run. What crosses at its edges is not in there: it is what was bound in memory of the host.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { softwareVulkan } from '../../support/vulkan.ts';
import { modelFile } from '../harness.ts';

const SCRIPT = fileURLToPath(new URL('../../support/decode-profiled.mjs', import.meta.url));
const GROWING = fileURLToPath(new URL('../../models/concat/model.onnx', import.meta.url));
/** SwiftShader compiles a shader for every operator and shape that is new to it. */
const TIMEOUT_MS = 600_000;
const [SHORT, LONG] = [16, 400];

interface Decode {
  readonly operators: readonly {
    readonly op_name: string;
    readonly provider: string;
    readonly output_size: string;
    readonly output_type_shape: readonly Readonly<Record<string, readonly number[]>>[];
  }[];
  /** Inputs and outputs as they were bound, and whether in memory of the device. */
  readonly bound: readonly { readonly name: string; readonly bytes: number; readonly onDevice: boolean }[];
  readonly programs: readonly { readonly name: string; readonly shapes: string }[];
}

const folder = mkdtempSync(join(tmpdir(), 'profile-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function decodesOf(file: string): Promise<readonly [Decode, Decode]> {
  const { stdout } = await promisify(execFile)(process.execPath, [SCRIPT, file, folder, `${SHORT}`, `${LONG}`], {
    env: { ...softwareVulkan },
    maxBuffer: 2 ** 26,
  });
  return (JSON.parse(stdout) as { decodes: [Decode, Decode] }).decodes;
}

const copies = ({ operators }: Decode) => operators.filter(({ op_name }) => op_name.startsWith('Memcpy'));
const bytesCopied = (decode: Decode): number =>
  copies(decode).reduce((sum, { output_size }) => sum + Number(output_size), 0);
/** What ran on the GPU, each program with the shapes that it read and wrote. */
const programsOf = ({ programs }: Decode): string[] => programs.map(({ name, shapes }) => `${name}: ${shapes}`).sort();

describe.runIf(softwareVulkan)('a step of decoding on WebGPU', () => {
  let [short, long]: Decode[] = [];
  beforeAll(async () => {
    [short, long] = await decodesOf(modelFile);
  }, TIMEOUT_MS);

  it('copies as many bytes behind 400 tokens as behind 16', () => {
    expect(copies(short!).length).toBeGreaterThan(0);
    expect(bytesCopied(long!)).toBe(bytesCopied(short!));
  });

  it('copies nothing of the cache: one number of four bytes, the length of the row', () => {
    expect(copies(long!).map(({ output_type_shape }) => output_type_shape)).toEqual([[{ int32: [1] }]]);
    expect(bytesCopied(long!)).toBe(4);
  });

  it('has the cache bound in memory of the device, and on the host ids and logits of one token, and the mask', () => {
    const onHost = ({ bound }: Decode) =>
      Object.fromEntries(bound.filter(({ onDevice }) => !onDevice).map(({ name, bytes }) => [name, bytes]));
    const logits = 1024 * Float32Array.BYTES_PER_ELEMENT;
    const ofOne = { input_ids: 8, num_logits_to_keep: 8, logits };
    expect(onHost(short!)).toEqual({ ...ofOne, attention_mask: 8 * (SHORT + 1) });
    expect(onHost(long!)).toEqual({ ...ofOne, attention_mask: 8 * (LONG + 1) });
    expect(long!.bound.filter(({ onDevice }) => onDevice)).toHaveLength(2 * 2 * 4);
  });

  it('appends one token to the cache where it is: no program on the GPU reads or writes more of it', () => {
    const appended = long!.programs.filter(({ name }) => name.endsWith('CopyKVCache'));
    expect(appended).toHaveLength(4);
    // Keys and values of one token, in vectors of four; not the keys and values before it.
    for (const { shapes } of appended)
      expect(shapes).toMatch(/^inputs\[0\] = \{1,1,4,4\} inputs\[1\] = \{1,1,4,4\} inputs\[2\] = \{1\} outputs/);
    expect(programsOf(long!)).toEqual(programsOf(short!));
  });

  it('leaves the mask, which is as long as the context, to the host', () => {
    const wide = long!.operators.filter((operator) => JSON.stringify(operator).includes(`[1,${LONG + 1}]`));
    expect(new Set(wide.map(({ provider }) => provider))).toEqual(new Set(['CPUExecutionProvider']));
  });

  it('of a cache that grows copies the mask, which is how this counter is seen to count, and nothing of the cache', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const [before, after] = await decodesOf(GROWING);
    expect(bytesCopied(after) - bytesCopied(before)).toBe(2 * (LONG - SHORT));
    const shapes = copies(after).flatMap(({ output_type_shape }) => output_type_shape.flatMap(Object.keys));
    expect(new Set(shapes)).toEqual(new Set(['int64', 'float', 'bool']));
    // Keys of one layer: two heads of 16 floats for each token.
    expect(bytesCopied(after)).toBeLessThan(LONG * 2 * 16 * 4);
  });
});
