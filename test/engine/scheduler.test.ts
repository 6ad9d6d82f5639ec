import { describe, expect, it } from 'vitest';
import { KvCache } from '../../src/engine/kv-cache.ts';
import { Scheduler } from '../../src/engine/scheduler.ts';
import { Sequence } from '../../src/engine/sequence.ts';
import { prompt, request } from './harness.ts';

function setUp(slots: number, chunk = 4) {
  const clock = { now: 0 };
  const cache = new KvCache(slots, 64);
  const scheduler = new Scheduler(cache, chunk, () => clock.now);
  /** Does to the cache and the sequences what running the plan does. */
  const run = () => {
    const plan = scheduler.plan();
    if (plan.prefill) {
      const { sequence, start, count } = plan.prefill;
      cache.commit(sequence.slot, sequence.request.prompt.slice(start, start + count));
      if (start + count === sequence.request.prompt.length) sequence.accept({ id: 1 }, clock.now);
    }
    for (const sequence of plan.decode) {
      cache.commit(sequence.slot, [sequence.lastId]);
      sequence.accept({ id: 1 }, clock.now);
    }
    scheduler.settle();
    return plan;
  };
  const add = (length: number, maxTokens = 50): Sequence => {
    const sequence = new Sequence(request({ prompt: prompt(length, length), maxTokens }), clock.now);
    scheduler.add(sequence);
    return sequence;
  };
  const notes = (sequence: Sequence) => sequence.report()?.notes ?? [];
  return { clock, cache, scheduler, run, add, notes };
}

describe('a step', () => {
  it('is one chunk of one prompt, and one token of all that decode', () => {
    const { run, add } = setUp(3);
    const [a, b, c] = [add(3), add(10), add(2)];
    expect(run()).toEqual({ prefill: { sequence: a, start: 0, count: 3 }, decode: [] });
    expect(run()).toEqual({ prefill: { sequence: b, start: 0, count: 4 }, decode: [a] });
    expect(run()).toEqual({ prefill: { sequence: b, start: 4, count: 4 }, decode: [a] });
    expect(run()).toEqual({ prefill: { sequence: b, start: 8, count: 2 }, decode: [a] });
    expect(run()).toEqual({ prefill: { sequence: c, start: 0, count: 2 }, decode: [a, b] });
    expect(run()).toEqual({ decode: [a, b, c] });
  });

  it('begins a prompt after what its slot already holds', () => {
    const { run, add, scheduler } = setUp(1);
    const first = add(10);
    for (let step = 0; step < 3; step++) run();
    first.end('cancelled', 0);
    scheduler.settle();
    const again = add(10);
    expect(run()).toEqual({ prefill: { sequence: again, start: 9, count: 1 }, decode: [] });
    expect(again.cached).toBe(9);
  });
});

describe('the queue', () => {
  it('is first come, first served', () => {
    const { run, add } = setUp(1);
    const order = [add(2, 1), add(2, 1), add(2, 1)];
    expect(order.map(() => run().prefill?.sequence)).toEqual(order);
  });

  it('tells a sequence its place on arrival and at each move, and nothing to one that need not wait', () => {
    const { run, add, notes } = setUp(1);
    const [a, b, c] = [add(2, 2), add(2, 1), add(2, 1)];
    expect(notes(a)).toEqual([]);
    expect(notes(b)).toEqual([{ note: 'queued', position: 1 }]);
    expect(notes(c)).toEqual([{ note: 'queued', position: 2 }]);
    run();
    expect(notes(a)).toMatchObject([{ note: 'started', slot: 0 }]);
    expect(notes(c)).toEqual([]);
    run();
    run();
    expect(notes(b)).toMatchObject([{ note: 'started' }]);
    expect(notes(c)).toEqual([{ note: 'queued', position: 1 }]);
  });

  it('moves up when one that waits gives up', () => {
    const { run, add, notes, scheduler } = setUp(1);
    const [, b, c] = [add(2), add(2), add(2)];
    run();
    notes(c);
    b.end('cancelled', 0);
    expect(scheduler.settle()).toEqual([b]);
    run();
    expect(notes(c)).toEqual([{ note: 'queued', position: 1 }]);
  });

  it('tells how long a sequence waited, and how many run beside it', () => {
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

it('frees the slot of a sequence that has ended, and hands it over once', () => {
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
