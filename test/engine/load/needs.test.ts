/** The memory that a model needs, for rows that decode together and for rows that take turns. */
import { describe, expect, it } from 'vitest';
import { deviceNamed } from '../../../src/engine/devices/registry.ts';
import { planMemory } from '../../../src/engine/load/memory-plan.ts';
import { needsOf } from '../../../src/engine/load/needs.ts';
import { growthOf } from '../../../src/engine/ort/cache/growth.ts';
import { readModel } from '../../../src/engine/ort/model-file.ts';
import { readSignature, rowBytes } from '../../../src/engine/ort/signature.ts';
import { modelFile, options } from '../harness.ts';

const signature = readSignature(readModel(modelFile).edited!);
const requested = { ...options, slots: 6, context: 128 };
/** One logit of each id. */
const POSITION = 1024 * Float32Array.BYTES_PER_ELEMENT;

function planOf(name: 'webgpu' | 'cuda-0', together: boolean) {
  const device = deviceNamed(name);
  const growth = growthOf(device, { appends: false, canMap: true, together });
  const needs = needsOf(signature, { device, weightBytes: 1000, growth, together }, requested);
  return { device, plan: planMemory({ ...needs, free: undefined }, requested) };
}

describe('rows that decode together on WebGPU', () => {
  const { device, plan } = planOf('webgpu', true);
  const alone = planOf('webgpu', false).plan;

  it('are allocated at once, with one more row, and with the logits of all rows on the device', () => {
    expect(plan).toMatchObject({ slots: 6, rows: 6, context: 128, cache: 7 * rowBytes(signature, 128) });
    expect(plan.work).toBe(device.workBytes);
    // On the device, their copy on the host, and two intermediate values of the selection.
    expect(plan.logits - alone.logits).toBe(4 * 6 * POSITION);
  });

  it('have no rows that only store prefixes, unlike rows that take turns', () => {
    expect([plan.rows, alone.rows]).toEqual([6, 54]);
    expect(alone.work).toBe(device.workBytes);
  });
});

it('rows that decode together on CUDA need no row more', () => {
  const [together, apart] = [planOf('cuda-0', true), planOf('cuda-0', false)];
  expect(together.plan.work).toBe(together.device.workBytes);
  expect(together.plan.cache).toBe(apart.plan.cache);
  expect(together.plan.logits - apart.plan.logits).toBe(4 * 6 * POSITION);
});
