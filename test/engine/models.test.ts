/**
 * Models in all layouts of exports, on the CPU: the generated ids equal those of a computation without graph,
 * KV cache and runtime.
 */
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Engine } from '../../src/engine/engine.ts';
import { randomNumbers } from '../support/grammar/random-tokens.ts';
import { Bench, onCpu, options, request } from './harness.ts';
import { continueAll, expectedOf, idsOf, optionsFor, REFERENCE, type ReferenceModel } from './reference.ts';

const model = (name: string): ReferenceModel => REFERENCE.find((one) => one.name.startsWith(name))!;

describe.each(REFERENCE.map((one) => [one.name, one] as const))('%s', (_, one) => {
  it('generates the ids of the reference for several prompts at once, and reports how its cache is updated', async () => {
    const bench = new Bench(optionsFor(one, 'cpu'));
    expect(await idsOf(bench, one)).toEqual(expectedOf(one));
    expect(bench.engine.facts.cacheUpdate).toBe(one.grows ? 'growing' : 'in_place');
    bench.engine.close();
  });

  it('generates the same ids in four rows that join and leave at random', async () => {
    const bench = new Bench({ ...optionsFor(one, 'cpu'), slots: 4, prefillChunk: 16 });
    const random = randomNumbers(one.name.length);
    const running = new Set<Promise<unknown>>();
    const [found, expected]: number[][][] = [[], []];
    for (let count = 0; count < 16; count++) {
      const { prompt, ids } = one.continuations[Math.floor(random() * one.continuations.length)]!;
      const maxTokens = 1 + Math.floor(random() * ids.length);
      expected!.push(ids.slice(0, maxTokens));
      const asked = request({ prompt, maxTokens });
      const joined = bench.afterTokens(asked.id, 1 + Math.floor(random() * maxTokens));
      const ended: Promise<unknown> = bench.submit(asked).then((outcome) => {
        found![count] = outcome.ids;
        running.delete(ended);
      });
      running.add(ended);
      await joined;
      if (running.size === 4) await Promise.race(running);
    }
    await Promise.all(running);
    expect(found).toEqual(expected);
    bench.engine.close();
  });

  it('generates the same ids with small chunks and one slot', async () => {
    expect(await continueAll(one, 'cpu', { prefillChunk: 7, slots: 1 })).toEqual(expectedOf(one));
  });
});

describe('the bytes of the cache, reported for', () => {
  it.each([
    ['without-attention', 3 * 192 * 2 * 2 * 2 * 16 * 4],
    ['shared-caches', 3 * 192 * 2 * 2 * 2 * 16 * 4],
    ['fp16', 3 * 192 * 2 * 2 * 2 * 16 * 2],
    ['combined', 3 * 192 * 2 * 2 * 2 * 16 * 4],
  ])('%s', (name, cacheBytes) => {
    const bench = new Bench({ ...optionsFor(model(name), 'cpu'), slots: 3 });
    const { context, cacheBytesPerToken, cacheBytes: planned, cacheBudgetBytes } = bench.engine.facts;
    expect(3 * context * cacheBytesPerToken).toBe(cacheBytes);
    expect(planned).toBeGreaterThanOrEqual(cacheBudgetBytes);
    expect(cacheBudgetBytes).toBeGreaterThanOrEqual(context * cacheBytesPerToken);
    bench.engine.close();
  });
});

describe('a cache that grows', () => {
  it('is reused by a prompt that continues it, and gives the ids of an empty cache', async () => {
    const concat = model('concat/');
    const { prompt, ids } = concat.continuations[1]!;
    const longer = [...prompt, ...ids, 7, 8, 9];
    const bench = new Bench({ ...optionsFor(concat, 'cpu'), slots: 1 });
    const cold = new Bench({ ...optionsFor(concat, 'cpu'), slots: 1 });
    await bench.run({ prompt, maxTokens: ids.length });
    const kept = await bench.run({ prompt: longer, maxTokens: 12 });
    // The last generated id was never the input of a run.
    expect(kept.finish.cachedTokens).toBe(prompt.length + ids.length - 1);
    expect(kept.ids).toEqual((await cold.run({ prompt: longer, maxTokens: 12 })).ids);
    for (const one of [bench, cold]) one.engine.close();
  });

  it('is emptied for a prompt that differs', async () => {
    const concat = model('concat/');
    const { prompt, ids } = concat.continuations[2]!;
    const bench = new Bench({ ...optionsFor(concat, 'cpu'), slots: 1 });
    await bench.run({ prompt: [...prompt.slice(0, -1), (prompt.at(-1)! + 1) % 256], maxTokens: 3 });
    const again = await bench.run({ prompt, maxTokens: ids.length });
    expect([again.finish.cachedTokens, again.ids]).toEqual([0, ids]);
    bench.engine.close();
  });

  it('gets no drafts, because it cannot drop rejected ids', () => {
    const bench = new Bench({ ...optionsFor(model('concat/'), 'cpu'), speculation: 'on' });
    expect(bench.engine.facts.speculation).toBe(false);
    bench.engine.close();
  });
});

it('refuses a model with an unknown input, and names the input', () => {
  const file = join(dirname(dirname(model('fp16/').file)), 'encoder', 'model.onnx');
  expect(() => Engine.open({ ...options, ...onCpu(file), context: 64 }, () => undefined)).toThrow(
    'The model has an input that this engine does not know: encoder_hidden_states',
  );
});
