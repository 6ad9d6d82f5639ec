import { afterAll, describe, expect, it } from 'vitest';
import { KvCache } from '../../src/engine/cache/kv-cache.ts';
import { CostModel } from '../../src/engine/cost-model.ts';
import { isOutOfMemory } from '../../src/engine/ort/error-causes.ts';
import type { Run } from '../../src/engine/ort/session.ts';
import { prefillChunk, Runner } from '../../src/engine/runner.ts';
import { argMax } from '../../src/engine/sampling/sampler.ts';
import type { Plan } from '../../src/engine/scheduler.ts';
import { Sequence } from '../../src/engine/sequence.ts';
import { continueGreedily, modelFile, openPoisonable, openSession, prompt, request } from './harness.ts';

const { session, poison } = openPoisonable();
const reference = openSession();
afterAll(() => {
  session.close();
  reference.close();
});

/** Sequences in slots 0, 1, …, prefilled, with the first token drawn. */
function prefilled(runner: Runner, cache: KvCache, lengths: number[]): Sequence[] {
  return lengths.map((length, index) => {
    const sequence = new Sequence(request({ prompt: prompt(length, index + 50), maxTokens: 200 }), 0);
    const input = { ids: sequence.input, salt: '' };
    sequence.start(cache.begin(cache.take(input)!, input), 0, 0);
    draw(runner, { prefill: [{ sequence, start: 0, count: length }], decode: [] });
    return sequence;
  });
}

/** Runs a plan and draws greedily. Returns the ids of the sequences, or their errors. */
function draw(runner: Runner, plan: Plan): (number | Error)[] {
  const drawn: (number | Error)[] = [];
  for (const [sequence, logits] of runner.run(plan)) {
    const id = logits instanceof Error ? logits : argMax(logits.all());
    if (typeof id === 'number') sequence.accept({ id }, 0);
    drawn.push(id);
  }
  return drawn;
}

/** Decodes `steps` times. Returns the ids of each sequence, including its first. */
function decode(runner: Runner, sequences: Sequence[], steps: number): number[][] {
  const ids = sequences.map((sequence) => [sequence.lastId]);
  for (let step = 0; step < steps; step++) {
    draw(runner, { prefill: [], decode: sequences });
    for (const [index, { lastId }] of sequences.entries()) ids[index]!.push(lastId);
  }
  return ids;
}

const expected = (sequence: Sequence, count: number): number[] =>
  continueGreedily(reference, sequence.request.prompt, count);

function fresh(): { cache: KvCache; runner: Runner } {
  poison();
  const cache = new KvCache({ slots: 4, capacity: 256 });
  return { cache, runner: new Runner(session, cache, new CostModel(), () => 0) };
}

describe('rows of different lengths decoded together', () => {
  it('draw the same ids as each row alone, on a cache full of NaN', () => {
    const { cache, runner } = fresh();
    const sequences = prefilled(runner, cache, [5, 90, 31, 2]);
    const ids = decode(runner, sequences, 15);
    for (const [index, sequence] of sequences.entries()) expect(ids[index]).toEqual(expected(sequence, 16));
  });

  it('do not change the rows between them', () => {
    const { cache, runner } = fresh();
    const sequences = prefilled(runner, cache, [5, 90, 31, 2]);
    const outer = decode(runner, [sequences[0]!, sequences[3]!], 10);
    const inner = decode(runner, [sequences[1]!, sequences[2]!], 10);
    expect(outer).toEqual([expected(sequences[0]!, 11), expected(sequences[3]!, 11)]);
    expect(inner).toEqual([expected(sequences[1]!, 11), expected(sequences[2]!, 11)]);
  });

  it('run with a full row between them, which loses its last id', () => {
    const { cache, runner } = fresh();
    const sequences = prefilled(runner, cache, [5, 256, 31]);
    expect(decode(runner, [sequences[0]!, sequences[2]!], 3)).toEqual([
      expected(sequences[0]!, 4),
      expected(sequences[2]!, 4),
    ]);
    expect(cache.length(1)).toBe(255);
  });
});

it('verifies a draft id by id, and removes the rest after the first id that differs', () => {
  const { cache, runner } = fresh();
  const [sequence] = prefilled(runner, cache, [5]) as [Sequence];
  const [, second, third] = expected(sequence, 3) as [number, number, number];
  const ids = [second, third + 1, 7];
  expect(draw(runner, { prefill: [], decode: [], verify: { sequence, ids } })).toEqual([second, third]);
  expect(cache.length(sequence.slot)).toBe(7);
  expect([sequence.promptLookup.drafted, sequence.promptLookup.accepted]).toEqual([3, 1]);
});

it('runs distant rows separately if the rows between them cost more than another run', () => {
  const { cache } = fresh();
  const costs = new CostModel();
  // One row costs 10, each further row 9: one run of four rows costs 37, two runs of one row cost 20.
  for (const rows of [1, 2, 3, 4]) costs.noteRows(rows, 1 + 9 * rows);
  const runs: unknown[] = [];
  const watched = new Proxy(session, {
    get: (target, name) => {
      if (name === 'run') {
        return (run: Run) => {
          runs.push(run.rows);
          return target.run(run);
        };
      }
      const value = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const runner = new Runner(watched, cache, costs, () => 0);
  const sequences = prefilled(runner, cache, [5, 90, 31, 2]);
  runs.length = 0;
  const outer = draw(runner, { prefill: [], decode: [sequences[3]!, sequences[0]!] });
  expect(runs).toEqual([
    { first: 0, count: 1 },
    { first: 3, count: 1 },
  ]);
  expect(outer).toEqual([expected(sequences[3]!, 2)[1], expected(sequences[0]!, 2)[1]]);
});

it('keeps the budget of the rows between them: no such row takes the memory of another one', () => {
  poison();
  const memory = {
    bytesFor: (tokens: number) => Math.ceil(tokens / 8),
    releaseRow: (_: number, tokens: number) => Math.ceil(tokens / 8),
  };
  const cache = new KvCache({ slots: 4, capacity: 256, budget: 3, memory });
  const runs: unknown[] = [];
  const costs = new CostModel();
  for (const rows of [1, 2, 3, 4]) costs.noteRows(rows, 100 + rows);
  const watched = new Proxy(session, {
    get: (target, name) => {
      const value = Reflect.get(target, name, target);
      if (name === 'run')
        return (run: Run) => {
          runs.push(run.rows);
          return target.run(run);
        };
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const runner = new Runner(watched, cache, costs, () => 0);
  const sequences = prefilled(runner, cache, [5, 5, 5, 5]);
  for (const row of [1, 2]) {
    cache.clear(row);
    cache.release(row);
  }
  for (const row of [0, 3]) cache.budget.take(row, 6);
  runs.length = 0;
  draw(runner, { prefill: [], decode: [sequences[0]!, sequences[3]!] });
  // There is memory for one of the two rows between them.
  expect(runs).toEqual([0, 3].map((first) => ({ first, count: 1 })));
  expect([0, 1, 2, 3].map((row) => cache.budget.isBusy(row))).toEqual([true, false, false, true]);
});

it('limits a chunk to 512 ids, the requested number, and 64 MiB of logits', () => {
  expect(prefillChunk(4 * 1024, 4096)).toBe(512);
  expect(prefillChunk(0, 4096)).toBe(512);
  expect(prefillChunk(4 * 1024, 100)).toBe(100);
  expect(prefillChunk(4 * 128_256, 4096)).toBe(130);
  expect(prefillChunk(4 * 128_256, 4096) * 128_256 * 4).toBeLessThanOrEqual(64 * 2 ** 20);
  expect(prefillChunk(4e9, 4096)).toBe(2);
});

it.each([
  ['Failed to allocate memory for requested buffer of size 1073741824', true],
  ['std::bad_alloc', true],
  ['CUDA failure 2: out of memory ; GPU=0', true],
  ['Available memory of 1048576 is smaller than requested bytes of 4194304', true],
  ['Failed to create GPU buffer: size=268435456', true],
  ['CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0', true],
  ['cos_cache dimension 0 shall not be less than total_sequence_length.', false],
])('a failed run is told from one without memory: %s', (message, is) => {
  expect(isOutOfMemory(message)).toBe(is);
});

it('gives each row the same logits with more sets of rows than cached bindings', () => {
  const rows = 12;
  const session = openSession(modelFile, { rows, capacity: 32, chunk: 32, keep: 1 });
  try {
    const { vocabSize } = session.signature;
    session.ids.fill(9n);
    const alone = (): Float32Array => {
      session.run({ rows: { first: 0, count: 1 }, lengths: [1], tokens: 1, logitsAt: 0, keep: 1 });
      return session.logits.slice(0, vocabSize);
    };
    const expected = alone();
    for (let first = 0; first < rows; first++)
      for (let count = 1; first + count <= rows; count++) {
        session.run({ rows: { first, count }, lengths: new Array(count).fill(1), tokens: 1, logitsAt: 0, keep: 1 });
        const last = session.logits.subarray((count - 1) * vocabSize, count * vocabSize);
        expect(Math.max(...last.map((logit, id) => Math.abs(logit - (expected[id] ?? 0))))).toBeLessThan(1e-4);
      }
    expect(alone()).toEqual(expected);
  } finally {
    session.close();
  }
});

it('fails only the rows of a failed run', () => {
  const cache = new KvCache({ slots: 4, capacity: 256 });
  const costs = new CostModel();
  // Distant rows run separately.
  for (const [rows, ms] of [
    [1, 1],
    [2, 50],
    [4, 200],
  ] as const)
    costs.noteRows(rows, ms);
  const failing = new Proxy(session, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (name !== 'run') return typeof value === 'function' ? value.bind(target) : value;
      return (run: Run) => {
        if (run.tokens === 1 && run.rows.first === 3) throw new Error('std::bad_alloc');
        return target.run(run);
      };
    },
  });
  const runner = new Runner(failing, cache, costs, () => 0);
  const sequences = prefilled(runner, cache, [5, 90, 31, 2]);
  const [first, last] = draw(runner, { prefill: [], decode: [sequences[0]!, sequences[3]!] });
  expect(last).toEqual(new Error('std::bad_alloc'));
  expect(first).toBe(expected(sequences[0]!, 2)[1]);
  expect([cache.length(0), cache.length(3)]).toEqual([6, 2]);
});
