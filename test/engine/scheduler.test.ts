import { describe, expect, it } from 'vitest';
import { KvCache } from '../../src/engine/cache/kv-cache.ts';
import { CostModel } from '../../src/engine/cost-model.ts';
import { PrefillBudget } from '../../src/engine/prefill-budget.ts';
import { Scheduler } from '../../src/engine/scheduler.ts';
import { Sequence } from '../../src/engine/sequence.ts';
import { WaitEstimate } from '../../src/engine/wait-estimate.ts';
import { prompt, request } from './harness.ts';
import { type Copy, setUp } from './simulated.ts';

describe('a step', () => {
  it('has one chunk of one prompt, and one token for each decoding sequence', () => {
    const { run, add } = setUp(3);
    const [a, b] = [add(3), add(2)];
    expect(run()).toEqual({ prefill: [{ sequence: a, start: 0, count: 3 }], decode: [] });
    expect(run()).toEqual({ prefill: [{ sequence: b, start: 0, count: 2 }], decode: [a] });
    expect(run()).toEqual({ prefill: [], decode: [a, b] });
  });

  it('has several prompts that fit one chunk together', () => {
    const { run, add } = setUp(5, 8);
    const [a, b, c, d] = [add(3), add(5), add(2), add(9)];
    expect(run().prefill.map(({ sequence, count }) => [sequence, count])).toEqual([
      [a, 3],
      [b, 5],
    ]);
    expect(run().prefill.map(({ sequence }) => sequence)).toEqual([d]);
    expect(run().prefill.map(({ sequence }) => sequence)).toEqual([c]);
  });

  it('verifies a draft of the only running sequence, and has no draft with several', () => {
    const { run, add } = setUp(3);
    const a = add(3);
    let plan = run();
    for (let step = 0; step < 5 && !plan.verify; step++) plan = run();
    // Every drawn id is 1, and so is every drafted id.
    expect(plan).toMatchObject({ prefill: [], decode: [], verify: { sequence: a } });
    expect(new Set(plan.verify?.ids)).toEqual(new Set([1]));
    const b = add(2);
    expect(run()).toEqual({ prefill: [{ sequence: b, start: 0, count: 2 }], decode: [a] });
    expect(run()).toEqual({ prefill: [], decode: [a, b] });
  });

  it('has only sequences with a slot: a plan admits no sequence', () => {
    const { add, scheduler } = setUp(2);
    const [a, b] = [add(3), add(3)];
    scheduler.admit();
    add(2);
    expect(scheduler.plan()).toEqual({ prefill: [{ sequence: a, start: 0, count: 3 }], decode: [] });
    expect([a.state, b.state]).toEqual(['prefill', 'prefill']);
  });

  it('begins a prompt after the ids that its slot already contains', () => {
    const { run, add, scheduler } = setUp(1, 12);
    const first = add(10);
    run();
    first.end('cancelled', 0);
    scheduler.settle();
    const again = add(10);
    expect(run().prefill).toEqual([{ sequence: again, start: 8, count: 2 }]);
    expect(again.cachedTokens).toBe(8);
  });

  it('never has a chunk of one id, and never leaves one id for the next chunk', () => {
    const { run, add } = setUp(1);
    add(9);
    expect([run(), run(), run()].map(({ prefill }) => prefill[0]?.count)).toEqual([4, 3, 2]);
  });
});

describe('prompts of different lengths', () => {
  /** Length of the prompt that each step computes; 0 = none. */
  const lengths = (run: ReturnType<typeof setUp>['run'], steps: number): number[] =>
    Array.from({ length: steps }, () => run().prefill[0]?.sequence.request.prompt.length ?? 0);

  it('are computed shortest first if no sequence decodes', () => {
    const { run, add } = setUp(3);
    add(10);
    add(3);
    expect(lengths(run, 1)).toEqual([3]);
  });

  it('give a long prompt one step in 25 beside decoding sequences', () => {
    const { run, add } = setUp(2);
    add(3, 60);
    run();
    add(8);
    const steps = lengths(run, 45);
    expect(steps.flatMap((length, step) => (length === 8 ? [step] : []))).toEqual([0, 25]);
  });

  it.each([
    ['continued too, a step each', [1], [0, 1, 2]],
    ['undisturbed, one step in 25', [], [0, 25]],
  ])('give a long continued input, beside sequences that are %s', (_, continued, expected) => {
    const { run, add } = setUp(2);
    add(3, 60, { continued });
    run();
    add(8, 60, { continued: [1, 1] });
    const steps = lengths(run, 45);
    expect(steps.flatMap((length, step) => (length === 8 ? [step] : []))).toEqual(expected);
  });

  it('do not starve a short prompt behind long ones', () => {
    const { run, add } = setUp(8);
    for (let index = 0; index < 6; index++) add(20 + index);
    run();
    const short = add(3);
    run();
    expect(short.state).toBe('decode');
  });

  it('do not starve a long prompt behind a stream of short ones', () => {
    const { run, add } = setUp(3);
    const long = add(12);
    for (let step = 0; step < 120; step++) {
      if (step % 2 === 0) add(3, 2);
      run();
    }
    expect(long.computed).toBeGreaterThan(0);
    expect(long.state).not.toBe('prefill');
  });
});

describe('the estimate', () => {
  it('is absent while a slot is free, and while all running sequences are paused', () => {
    const { run, add, scheduler } = setUp(2);
    const a = add(2);
    run();
    expect(scheduler.estimate).toEqual({});
    const b = add(2);
    run();
    expect(scheduler.estimate).toMatchObject({ slotFreeMs: expect.any(Number), queue: { length: 0 } });
    for (const sequence of [a, b]) sequence.paused = true;
    expect(scheduler.estimate).toEqual({});
  });

  it('of a wait without a queue is the time until a slot is free', () => {
    const { run, add, scheduler } = setUp(1);
    add(2);
    run();
    run();
    const { slotFreeMs, queue } = scheduler.estimate;
    expect(slotFreeMs).toBeGreaterThanOrEqual(0);
    expect(queue?.waitMs).toBe(slotFreeMs);
  });

  it.each([1, 2, 3])(
    'with %i slots is the wait that the next sequence is told, at any length of the queue',
    (slots) => {
      const { run, add, notes, scheduler, clock } = setUp(slots);
      for (let index = 0; index < slots; index += 1) add(2 + index, 40 + index);
      run();
      const waiting = [];
      for (let length = 0; length < 12; length += 1) {
        for (let steps = 0; steps < length % 4; steps += 1) run();
        // An estimate is made again when it is a quarter of a second old.
        clock.now += 250;
        scheduler.admit();
        const { queue } = scheduler.estimate;
        expect(queue?.length).toBe(waiting.length);
        const next = add(2, 5 + length);
        expect(notes(next)).toEqual([{ note: 'queued', position: length + 1, etaMs: queue?.waitMs }]);
        waiting.push(next);
      }
    },
  );

  it('follows a sequence that leaves the queue, also the last one', () => {
    const { run, add, scheduler } = setUp(1);
    add(2, 40);
    run();
    const empty = scheduler.estimate.queue?.waitMs;
    const [b, c] = [add(2, 5), add(2, 5)];
    const full = scheduler.estimate.queue?.waitMs;
    for (const gone of [c, b]) {
      gone.end('cancelled', 0);
      scheduler.settle();
      scheduler.admit();
    }
    expect(full).toBeGreaterThan(Number(empty));
    expect(scheduler.estimate.queue).toMatchObject({ length: 0, waitMs: empty });
  });
});

describe('the queue', () => {
  it('is first come, first served', () => {
    const { run, add } = setUp(1);
    const order = [add(2, 1), add(2, 1), add(2, 1)];
    expect(order.map(() => run().prefill[0]?.sequence)).toEqual(order);
  });

  it('notes the position of a sequence on arrival and at each change, and none for a sequence that need not wait', () => {
    const { run, add, notes } = setUp(1);
    const [a, b, c] = [add(2, 2), add(2, 1), add(2, 1)];
    expect(notes(a)).toEqual([]);
    expect(notes(b)).toEqual([{ note: 'queued', position: 1, etaMs: expect.any(Number) }]);
    expect(notes(c)).toEqual([{ note: 'queued', position: 2, etaMs: expect.any(Number) }]);
    run();
    expect(notes(a)).toMatchObject([{ note: 'started', slot: 0 }]);
    expect(notes(c)).toEqual([]);
    run();
    run();
    expect(notes(b)).toMatchObject([{ note: 'started' }]);
    expect(notes(c)).toEqual([{ note: 'queued', position: 1, etaMs: expect.any(Number) }]);
  });

  it('moves up when a waiting sequence is cancelled', () => {
    const { run, add, notes, scheduler } = setUp(1);
    const [, b, c] = [add(2), add(2), add(2)];
    run();
    notes(c);
    b.end('cancelled', 0);
    expect(scheduler.settle()).toEqual([b]);
    run();
    expect(notes(c)).toEqual([{ note: 'queued', position: 1, etaMs: expect.any(Number) }]);
  });

  it('notes how long a sequence waited, and how many others run', () => {
    const { run, add, notes, clock } = setUp(2);
    add(2, 3);
    const [b, c] = [add(2, 1), add(2)];
    run();
    clock.now = 250;
    run();
    run();
    expect(notes(b)).toMatchObject([{ note: 'started', slot: 1, others: 1, queueMs: 0 }]);
    expect(notes(c)).toMatchObject([{ note: 'queued' }, { note: 'started', others: 1, queueMs: 250 }]);
  });
});

it('frees the slot of an ended sequence, and returns the sequence once', () => {
  const { run, add, cache, scheduler } = setUp(2);
  const [a] = [add(2), add(2)];
  run();
  expect(cache.free).toBe(0);
  a.end('cancelled', 0);
  expect(scheduler.settle()).toEqual([a]);
  expect(scheduler.settle()).toEqual([]);
  expect(cache.free).toBe(1);
  expect(scheduler.busy).toBe(true);
});

describe('a sequence that copies the prompt of another', () => {
  it('keeps its slot until that prompt is computed, and then starts with a copy', () => {
    const copies: Copy[] = [];
    const { run, add, notes } = setUp(3, 4, { copies });
    const original = add(10);
    const copy = add(10, 50, { copyOf: original.request.id });
    // 4 and 4 ids; the copy computes the last two itself.
    for (let step = 0; step < 2; step++) {
      expect([copy.state, notes(copy), copies]).toEqual(['waiting', [], []]);
      run();
    }
    // Two ids are a short input, which goes before the rest of a long one.
    expect(run().prefill).toEqual([{ sequence: copy, start: 8, count: 2 }]);
    expect(copies).toEqual([[0, 1, 8]]);
    expect(notes(copy)).toMatchObject([{ note: 'started', slot: 1, cachedTokens: 8, others: 1 }]);
  });

  it('computes its prompt where the memory of the device cannot be copied', () => {
    const { run, add } = setUp(2, 12);
    const original = add(5);
    const copy = add(5, 50, { copyOf: original.request.id });
    expect(run().prefill).toMatchObject([
      { sequence: original, start: 0, count: 5 },
      { sequence: copy, start: 0, count: 5 },
    ]);
  });

  it('waits for a prompt with scores, with or without a copy: its output comes after them', () => {
    for (const copies of [undefined, []]) {
      const { run, add } = setUp(2, 4, copies && { copies });
      const original = add(10, 50, { promptLogprobs: 0 });
      const copy = add(10, 50, { copyOf: original.request.id });
      original.paused = true;
      expect(run().prefill).toEqual([]);
      original.paused = false;
      while (original.state !== 'decode') {
        expect(copy.state).toBe('waiting');
        run();
      }
      run();
      expect(copy.state).not.toBe('waiting');
    }
  });

  it('computes its prompt if the copy fails', () => {
    const cache = new KvCache({ slots: 2, capacity: 64, copyRow: () => false });
    const budget = new PrefillBudget(new CostModel(), 12);
    const scheduler = new Scheduler({
      cache,
      budget,
      waits: new WaitEstimate(budget),
      now: () => 0,
    });
    cache.take({ ids: [0], salt: '' });
    cache.commit(0, prompt(9, 9));
    const copy = new Sequence(request({ prompt: prompt(9, 9), copyOf: 0 }), 0);
    scheduler.add(copy);
    scheduler.admit();
    expect(scheduler.plan().prefill).toEqual([{ sequence: copy, start: 0, count: 9 }]);
  });

  it('leaves the next copies to later steps when the copies take long', () => {
    const copies: Copy[] = [];
    const { clock, run, add, scheduler } = setUp(4, 12, { copies });
    const original = add(10);
    for (let index = 0; index < 3; index++) add(10, 50, { copyOf: original.request.id });
    run();
    const push = copies.push.bind(copies);
    copies.push = (...items) => {
      clock.now += 60;
      return push(...items);
    };
    for (const count of [2, 3, 3]) {
      scheduler.admit();
      expect(copies).toHaveLength(count);
    }
  });
});

describe('the chunks of a prompt with scores', () => {
  it('take no longer than those of other prompts, and as rarely beside decoding sequences', () => {
    const costs = new CostModel();
    for (const tokens of [2, 4, 8]) costs.noteTokens(tokens, 10 * tokens);
    for (const tokens of [2, 4, 8]) costs.scored.note(tokens, 20 * tokens);
    const { run, add } = setUp(2, 8, { costs });
    add(3, 60);
    run();
    const scored = add(20, 5, { promptLogprobs: 1 });
    const counts = Array.from({ length: 55 }, () => run().prefill[0]?.count ?? 0);
    expect(counts.filter((count) => count > 0)).toEqual([4, 4, 4]);
    expect(counts.flatMap((count, step) => (count > 0 ? [step] : []))).toEqual([0, 25, 50]);
    expect(scored.computed).toBe(12);
  });

  it('begin at the first id, also in a slot that contains the prompt', () => {
    const { run, add, scheduler } = setUp(1, 12, { copies: [] });
    const first = add(10);
    run();
    first.end('cancelled', 0);
    scheduler.settle();
    const again = add(10, 5, { promptLogprobs: 0 });
    expect(run().prefill).toEqual([{ sequence: again, start: 0, count: 10 }]);
  });
});
