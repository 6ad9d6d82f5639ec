/**
 * Float32 models whose attention is changed to half floats, for a device that supports no other: they
 * generate the ids of the reference.
 */
import { describe, expect, it } from 'vitest';
import { deviceNamed } from '../../../src/engine/devices/registry.ts';
import { loadOrt } from '../../../src/engine/ort/api.ts';
import { readModel } from '../../../src/engine/ort/model-file.ts';
import { Session } from '../../../src/engine/ort/session.ts';
import { argMax } from '../../../src/engine/sampling/sampler.ts';
import { modelFile, runtimeLibrary } from '../../engine/harness.ts';
import { REFERENCE } from '../../engine/reference.ts';

const FLOAT16 = 10;

function openHalved(file: string, context: number): Session {
  const session = Session.open(loadOrt(runtimeLibrary), readModel(file, { halfAttention: true }), deviceNamed('cpu'));
  session.reserve({ rows: 1, capacity: context, chunk: context, keep: 1 });
  return session;
}

/** The greedy continuation, with the prompt in one run. */
function continued(session: Session, prompt: readonly number[], count: number): number[] {
  const { vocabSize } = session.signature;
  const ids: number[] = [];
  for (let next = [...prompt], length = 0; ids.length < count; next = ids.slice(-1)) {
    for (const [index, id] of next.entries()) session.ids[index] = BigInt(id);
    length += next.length;
    const rows = { first: 0, count: 1 };
    const written = session.run({ rows, lengths: [length], tokens: next.length, logitsAt: 0, keep: 1 });
    ids.push(argMax(session.logits.subarray((written - 1) * vocabSize, written * vocabSize)));
  }
  return ids;
}

const wide = REFERENCE.filter(({ grows, half, name }) => !grows && !half && !name.startsWith('renamed'));

describe.each(wide.map((one) => [one.name, one] as const))('%s with attention over half floats', (_, model) => {
  it('has a cache of half floats and generates the ids of the reference', () => {
    const session = openHalved(model.file, 192);
    expect(session.signature.caches.every(({ type }) => type === FLOAT16)).toBe(true);
    expect(session.truncates).toBe(true);
    for (const { prompt, ids } of model.continuations) expect(continued(session, prompt, ids.length)).toEqual(ids);
    session.close();
  });
});

it('does not change models of half floats, and models without GroupQueryAttention', () => {
  for (const { file, grows, half } of REFERENCE.filter((one) => one.grows || one.half))
    expect([readModel(file, { halfAttention: true }).edited?.isRequired, grows || half]).toEqual([false, true]);
  expect(readModel(modelFile, { halfAttention: true }).edited?.isRequired).toBe(true);
});
