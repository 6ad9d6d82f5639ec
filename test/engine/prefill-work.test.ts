/** The report of a step says which part of it were prompts: the worker explains slow requests with it. */
import { afterAll, expect, test } from 'vitest';
import { Bench, prompt, request } from './harness.ts';

const bench = new Bench({ slots: 2, context: 512, prefillChunk: 64 });
afterAll(() => bench.engine.close());

test('a step that computes prompts reports their number, their tokens and their time', async () => {
  const [decoding, long] = [
    request({ prompt: prompt(20, 1), maxTokens: 300 }),
    request({ prompt: prompt(400, 2), maxTokens: 2 }),
  ];
  const first = bench.submit(decoding);
  await bench.afterTokens(decoding.id, 5);
  const count = bench.reports.length;
  await bench.submit(long);
  const steps = bench.reports.slice(count).filter(({ stepMs }) => stepMs !== undefined);
  const work = steps.flatMap(({ prefill }) => prefill ?? []);
  expect(work.reduce((sum, { tokens }) => sum + tokens, 0)).toBe(400);
  for (const { batch, stepMs = 0, prefill } of steps) {
    if (!prefill) continue;
    expect(prefill.sequences).toBe(1);
    expect(prefill.ms).toBeGreaterThan(0);
    expect(prefill.ms).toBeLessThanOrEqual(stepMs);
    // The other sequence decodes in the same step.
    expect(batch).toBe(2);
  }
  bench.engine.cancel(decoding.id);
  await first;
});

test('a step without a prompt does not', async () => {
  const count = bench.reports.length;
  await bench.run({ prompt: prompt(10, 3), maxTokens: 6 });
  const steps = bench.reports.slice(count).filter(({ stepMs }) => stepMs !== undefined);
  expect(steps.filter((step) => 'prefill' in step)).toHaveLength(1);
  expect(steps.length).toBeGreaterThan(3);
});
