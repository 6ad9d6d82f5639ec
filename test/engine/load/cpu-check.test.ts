/** The comparison of a device with the CPU when a model is opened, with a GPU that a test plays. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { deviceNamed } from '../../../src/engine/devices/registry.ts';
import { compareWithCpu, MAX_CPU_CHECK_MS } from '../../../src/engine/load/cpu-check.ts';
import { openSession as openModel } from '../../../src/engine/load/open-model.ts';
import { loadOrt } from '../../../src/engine/ort/api.ts';
import { Session } from '../../../src/engine/ort/session.ts';
import { parseModel } from '../../../src/onnx/graph.ts';
import type { DeviceName } from '../../../src/protocol/devices.ts';
import type { Candidate, EngineFacts, LoadEvent } from '../../../src/protocol/loading.ts';
import { attribute, copyWithAttribute } from '../../onnx/with-attribute.ts';
import { readable } from '../../support/checkpoints/candidate.ts';
import { playWebGpu } from '../../support/played-device.ts';
import { writeRandomDecoder } from '../../support/random-decoder.ts';
import { modelFile, openSession, options, runtimeLibrary } from '../harness.ts';
import { REFERENCE } from '../reference.ts';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'cpu-check-')));
afterAll(() => rmSync(folder, { recursive: true }));

let endPlay: () => void = () => undefined;
afterEach(() => {
  vi.restoreAllMocks();
  endPlay();
  endPlay = () => undefined;
});

/** Each logit becomes that of the next id: such a device agrees with itself in runs of any length. */
const rotated = (logits: Float32Array): void => logits.set([...logits.subarray(1), logits[0] ?? 0]);

const candidate = (device: DeviceName, file = modelFile): Candidate => ({
  device,
  modelFile: file,
  weightFiles: [file],
});

const opened = (devices: readonly DeviceName[], file = modelFile) =>
  openedOf(devices.map((device) => candidate(device, file)));

function openedOf(candidates: readonly Candidate[]) {
  const events: LoadEvent[] = [];
  const facts = openModel(
    { ...options, context: 64, candidates },
    (message) => {
      if (message.kind !== 'report') events.push(message);
    },
    ({ session, facts: found }): EngineFacts => {
      session.close();
      return found;
    },
  );
  return { facts, fallback: events.find(({ kind }) => kind === 'fallback') };
}

/** A model of the tests whose attention has one more attribute. */
function modelWith(name: string, added: Parameters<typeof attribute>): string {
  const source = REFERENCE.find((one) => one.name.startsWith('qkv-bias/'));
  const file = join(folder, `${name}.onnx`);
  copyWithAttribute(source?.file ?? '', file, 'GroupQueryAttention', attribute(...added));
  return file;
}

describe('a GPU', () => {
  it('that computes the logits of the CPU is used, with the difference and the cost', () => {
    endPlay = playWebGpu();
    const { facts } = opened(['webgpu', 'cpu']);
    expect(facts).toMatchObject({ device: 'webgpu', cpuDifference: 0, cpuCheckMs: expect.any(Number) });
  });

  it('that computes other logits in every run is refused, and the next device is used', () => {
    endPlay = playWebGpu(rotated);
    const { facts, fallback } = opened(['webgpu', 'cpu']);
    expect(fallback).toMatchObject({
      device: 'webgpu',
      next: 'cpu',
      reason: { code: 'computes_wrong', comparedWith: 'cpu', difference: expect.any(Number) },
    });
    expect(facts.device).toBe('cpu');
    expect(facts).not.toHaveProperty('cpuDifference');
  });

  it('that computes other logits and is the only device ends the load with the reason', () => {
    endPlay = playWebGpu(rotated);
    expect(() => opened(['webgpu'])).toThrow(
      expect.objectContaining({
        device: 'webgpu',
        reason: expect.objectContaining({ code: 'computes_wrong', comparedWith: 'cpu' }),
      }),
    );
  });

  it('whose logits differ by the rounding of half floats is used', () => {
    endPlay = playWebGpu((logits) => logits.set(logits.map((logit, id) => logit * (1 + ((id % 3) - 1) * 0.01))));
    expect(opened(['webgpu', 'cpu']).facts).toMatchObject({
      device: 'webgpu',
      cpuDifference: expect.closeTo(0.008, 2),
    });
  });

  it('whose attention ignores an attribute of the model is skipped before the model is loaded', () => {
    endPlay = playWebGpu();
    const file = modelWith('softcap', ['softcap', { float: 0.5 }]);
    const reason = { code: 'operator_ignores', operator: 'GroupQueryAttention', attribute: 'softcap', value: 0.5 };
    const { facts, fallback } = opened(['webgpu', 'cpu'], file);
    expect([facts.device, fallback]).toEqual(['cpu', { kind: 'fallback', device: 'webgpu', next: 'cpu', reason }]);
    expect(() => opened(['webgpu'], file)).toThrow(expect.objectContaining({ device: 'webgpu', reason }));
  });

  it('runs a model with a window, because it does not use graph capture', () => {
    endPlay = playWebGpu();
    expect(opened(['webgpu'], modelWith('window', ['local_window_size', { integer: 4 }])).facts.device).toBe('webgpu');
  });
});

describe('a checkpoint', () => {
  const on = writeRandomDecoder(join(folder, 'weights.bin'), { layers: [{ softcap: 2 }, {}] });

  /** The operators of each graph that is opened, by its device. */
  function watchGraphs(): Map<string, string[]> {
    const graphs = new Map<string, string[]>();
    const { open } = Session;
    vi.spyOn(Session, 'open').mockImplementation((usedApi, model, device, more) => {
      const nodes = parseModel(model.edited?.bytes ?? new Uint8Array())?.graph.nodes ?? [];
      graphs.set(device.name, [...new Set(nodes.map(({ operator }) => operator))]);
      return open.call(Session, usedApi, model, device, more);
    });
    return graphs;
  }

  it('is compared with the graph that the CPU would run, and not with that of the device', () => {
    endPlay = playWebGpu();
    const graphs = watchGraphs();
    const { facts } = openedOf([on('webgpu')]);
    expect(graphs.get('webgpu')).toEqual(expect.arrayContaining(['MatMul', 'Tanh', 'Softmax']));
    expect(graphs.get('webgpu')).not.toContain('FusedMatMul');
    expect(graphs.get('cpu')).toEqual(expect.arrayContaining(['FusedMatMul', 'GroupQueryAttention']));
    expect(graphs.get('cpu')).not.toContain('Softmax');
    // The device computes the cap in another way: the difference is small, and not zero.
    expect(facts.cpuDifference).toBeLessThan(1e-5);
    expect(facts.cpuDifference).toBeGreaterThan(0);
  });

  it('is refused on a GPU that computes other logits', () => {
    endPlay = playWebGpu(rotated);
    const { facts, fallback } = openedOf([on('webgpu'), on('cpu')]);
    expect(fallback).toMatchObject({ reason: { code: 'computes_wrong', comparedWith: 'cpu' } });
    expect(facts.device).toBe('cpu');
  });
});

describe('the CPU', () => {
  it('is not compared with itself', () => {
    expect(opened(['cpu']).facts).not.toHaveProperty('cpuCheckMs');
  });
});

describe('there is no comparison', () => {
  const api = loadOrt(runtimeLibrary);
  const checked = { api, options: { names: {}, threads: 'auto' as const, context: 64 }, weightBytes: 4e6 };

  it('if it would take longer than a second', () => {
    const session = openSession();
    const bytes = 400e6;
    expect(MAX_CPU_CHECK_MS).toBeLessThanOrEqual(1000);
    expect(
      compareWithCpu(session, { ...checked, candidate: readable(candidate('webgpu')), weightBytes: bytes }),
    ).toBeUndefined();
    session.close();
  });

  it('if the CPU cannot open the model', () => {
    const session = openSession();
    const missing = { ...checked, candidate: readable(candidate('webgpu', join(folder, 'missing.onnx'))) };
    expect(compareWithCpu(session, missing)).toBeUndefined();
    session.close();
  });

  it('if the weights do not fit into the free memory beside the model', () => {
    const session = openSession();
    const cpu = deviceNamed('cpu');
    const { freeBytes } = cpu;
    Object.assign(cpu, { freeBytes: () => 70 * 2 ** 20 });
    try {
      expect(compareWithCpu(session, { ...checked, candidate: readable(candidate('webgpu')) })).toBeUndefined();
    } finally {
      Object.assign(cpu, { freeBytes });
      session.close();
    }
  });
});
