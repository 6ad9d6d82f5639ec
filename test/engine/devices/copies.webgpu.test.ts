/**
 * The bytes copied between host and WebGPU in a step of decoding, which do not grow with the context. The
 * runtime's profile reports the copies within a run. The copies before and after a run are the tensors bound
 * in memory of the host.
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
  /** Bound inputs and outputs; `onDevice`: in memory of the device. */
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
/** The programs on the GPU, each with the shapes of its inputs and outputs. */
const programsOf = ({ programs }: Decode): string[] => programs.map(({ name, shapes }) => `${name}: ${shapes}`).sort();

describe.runIf(softwareVulkan)('a step of decoding on WebGPU', () => {
  let [short, long]: Decode[] = [];
  beforeAll(async () => {
    [short, long] = await decodesOf(modelFile);
  }, TIMEOUT_MS);

  it('computes all operators on the device, and copies nothing within the run', () => {
    for (const decode of [short!, long!]) {
      expect(new Set(decode.operators.map(({ provider }) => provider))).toEqual(new Set(['WebGpuExecutionProvider']));
      expect(copies(decode)).toEqual([]);
    }
  });

  it('binds the cache on the device; the id, the lengths, and the logits of one token on the host', () => {
    const onHost = ({ bound }: Decode) =>
      Object.fromEntries(bound.filter(({ onDevice }) => !onDevice).map(({ name, bytes }) => [name, bytes]));
    const logits = 1024 * Float32Array.BYTES_PER_ELEMENT;
    const expected = { input_ids: 8, seqlens_k: 4, total_sequence_length: 4, first_logits: 8, logits };
    expect([short!, long!].map(onHost)).toEqual([expected, expected]);
    expect(long!.bound.filter(({ onDevice }) => onDevice)).toHaveLength(2 * 2 * 4);
  });

  it('appends one token to the cache in place: no program on the GPU reads or writes more of it', () => {
    const appended = long!.programs.filter(({ name }) => name.endsWith('CopyKVCache'));
    expect(appended).toHaveLength(4);
    // Keys and values of one token, in vectors of four, without those of earlier tokens.
    for (const { shapes } of appended)
      expect(shapes).toMatch(/^inputs\[0\] = \{1,1,4,4\} inputs\[1\] = \{1,1,4,4\} inputs\[2\] = \{1\} outputs/);
    expect(programsOf(long!)).toEqual(programsOf(short!));
  });

  it('copies the mask of a growing cache, and computes on the host: both counters work', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const [before, after] = await decodesOf(GROWING);
    expect(bytesCopied(after) - bytesCopied(before)).toBe(2 * (LONG - SHORT));
    const shapes = copies(after).flatMap(({ output_type_shape }) => output_type_shape.flatMap(Object.keys));
    expect(new Set(shapes)).toEqual(new Set(['int64', 'float', 'bool']));
    const computing = after.operators.filter(({ op_name }) => !op_name.startsWith('Memcpy'));
    expect(computing.some(({ provider }) => provider === 'CPUExecutionProvider')).toBe(true);
    // Keys of one layer: two heads of 16 floats for each token. Nothing of the cache is copied.
    expect(bytesCopied(after)).toBeLessThan(LONG * 2 * 16 * 4);
  });
});
