/** Sequences that share a budget of memory: 1 byte for each token. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Sequence } from '../../src/engine/sequence.ts';
import type { SequenceRequest } from '../../src/protocol/messages.ts';
import { prompt, request } from './harness.ts';
import { setUp } from './simulated.ts';

const memory = { bytesFor: (tokens: number) => tokens, releaseRow: (_: number, tokens: number) => tokens };
const withBudget = (budget: number, slots = 4) => setUp(slots, 64, { cache: { budget, memory } });

/** Runs steps until a condition holds. Fails if it does not hold after 1 000 steps. */
function runUntil(run: () => unknown, holds: () => boolean): void {
  for (let step = 0; !holds(); step += 1) {
    expect(step).toBeLessThan(1000);
    run();
  }
}

const noteNames = (sequence: Sequence): string[] => (sequence.report()?.notes ?? []).map(({ note }) => note);

describe('a sequence', () => {
  it('starts when its input and a stretch of output fit beside the running ones', () => {
    const { run, add, cache } = withBudget(60);
    const [a, b] = [add(20, 20), add(10, 20)];
    run();
    expect([a.state, b.state]).toEqual(['decode', 'waiting']);
    expect(noteNames(b)).toEqual(['queued']);
    runUntil(run, () => a.state === 'finished');
    run();
    expect(b.state).toBe('decode');
    expect(cache.budget.used).toBeLessThanOrEqual(60);
  });

  it('does not overtake one that waits for memory', () => {
    const { run, add } = withBudget(60);
    const [a, b, c] = [add(20, 20), add(30, 20), add(2, 2)];
    run();
    expect([a, b, c].map(({ state }) => state)).toEqual(['decode', 'waiting', 'waiting']);
  });

  it('alone may use the whole budget', () => {
    const { run, add } = withBudget(64);
    const a = add(4, 60);
    runUntil(run, () => a.state === 'finished');
    expect(a.generated).toBe(60);
    expect(noteNames(a)).toEqual(['started']);
  });
});

describe('when the budget is used up', () => {
  /** Two sequences that fit with their first stretch of output, and not with all of it. */
  const crowded = () => {
    const set = setUp(4, 64, { cache: { budget: 300, memory, capacity: 300 } });
    const [a, b] = [set.add(20, 200), set.add(20, 200)];
    set.run();
    return { ...set, a: a!, b: b! };
  };

  it('the youngest sequence is preempted, waits in front of the queue, and continues with the next token', () => {
    const { run, add, a, b } = crowded();
    const c = add(20, 200);
    runUntil(run, () => b.state === 'waiting');
    expect(b.slot).toBe(-1);
    expect(noteNames(b)).toEqual(['started', 'preempted', 'queued']);
    const { generated } = b;
    expect(b.input).toHaveLength(20 + generated);
    runUntil(run, () => a.state === 'finished');
    expect(a.generated).toBe(200);
    expect(c.state).toBe('waiting');
    run();
    expect(noteNames(b)).toContain('started');
    expect(b.generated).toBeGreaterThanOrEqual(generated);
    runUntil(run, () => b.state === 'finished');
    expect(b.generated).toBe(200);
  });

  it('a paused sequence is preempted first', () => {
    const { run, a, b } = crowded();
    runUntil(run, () => a.generated === 100);
    a.paused = true;
    runUntil(run, () => a.state === 'waiting');
    expect(b.state).toBe('decode');
    expect(a.paused).toBe(true);
  });

  it('ids of ended sequences are evicted before a sequence is preempted', () => {
    const { run, add, cache } = setUp(2, 64, { copies: [], cache: { budget: 64, memory } });
    const ended = add(40, 2);
    runUntil(run, () => ended.state === 'finished');
    expect(cache.budget.used).toBeGreaterThan(40);
    const a = add(6, 50);
    runUntil(run, () => a.state === 'finished');
    expect(noteNames(a)).toEqual(['started']);
    expect(cache.takeEvictions()).toEqual({ rows: 1, tokens: 41 });
  });

  it('a preempted sequence that is cancelled ends', () => {
    const { run, scheduler, b } = crowded();
    runUntil(run, () => b.state === 'waiting');
    b.end('cancelled', 0);
    expect(scheduler.settle()).toEqual([b]);
  });
});

it('a sequence waits while the row of another one holds the memory that it needs', () => {
  // Memory comes in hundreds of bytes, and is given back as a whole only.
  const whole = {
    bytesFor: (tokens: number) => Math.ceil(tokens / 100) * 100,
    releaseRow: (row: number, tokens: number): number => (tokens === 0 ? 0 : set.cache.budget.held(row)),
  };
  const set = setUp(2, 300, { cache: { budget: 500, memory: whole, capacity: 400 } });
  const { run, scheduler } = set;
  const added = (ids: number[], maxTokens: number): Sequence => {
    const sequence = new Sequence(request({ prompt: ids, maxTokens }), 0);
    scheduler.add(sequence);
    return sequence;
  };
  const long = prompt(250, 7);
  const first = added(long, 2);
  runUntil(run, () => first.state === 'finished');
  const short = added([...long.slice(0, 50), 7, 8], 30);
  run();
  const waiting = added(prompt(250, 8), 2);
  run();
  expect([set.cache.budget.held(short.slot), waiting.state]).toEqual([300, 'waiting']);
  runUntil(run, () => waiting.state === 'finished');
  expect(noteNames(waiting)).not.toContain('preempted');
});

describe('a sequence that waits for a prefix which a preempted one computes', () => {
  /** An old sequence grows until the leader, which still computes its input, is preempted. */
  const led = (more: Partial<SequenceRequest> = {}) => {
    const set = setUp(4, 4, { copies: [], cache: { budget: 290, memory, capacity: 300 } });
    const old = set.add(20, 280);
    set.run();
    const leader = set.add(60, 10, more);
    const follower = set.add(60, 10, { copyOf: leader.request.id });
    set.run();
    expect([leader.state, follower.state]).toEqual(['prefill', 'waiting']);
    runUntil(set.run, () => leader.slot < 0);
    return { ...set, old, leader, follower };
  };

  it('does not wait for it for ever, also if both get their slots at once', () => {
    const { run, scheduler, old, leader, follower } = led();
    old.end('cancelled', 0);
    scheduler.settle();
    runUntil(run, () => leader.state === 'finished' && follower.state === 'finished');
    expect([leader.generated, follower.generated]).toEqual([10, 10]);
  });

  it('waits behind it, and computes two ids when it continues', () => {
    const { run, scheduler, old, leader, follower } = led();
    expect([follower.state, follower.slot]).toEqual(['waiting', -1]);
    expect(noteNames(follower)).not.toContain('started');
    old.end('cancelled', 0);
    scheduler.settle();
    runUntil(run, () => follower.state === 'finished');
    expect(leader.state).toBe('finished');
    expect(follower.cachedTokens).toBe(58);
  });

  it('begins after it, if it has scores', () => {
    const { run, scheduler, cache, old, leader, follower } = led({ promptLogprobs: 0 });
    expect([follower.state, follower.slot, cache.free]).toEqual(['waiting', -1, 3]);
    for (let step = 0; step < 5; step += 1) run();
    expect(follower.state).toBe('waiting');
    old.end('cancelled', 0);
    scheduler.settle();
    runUntil(run, () => follower.state !== 'waiting');
    expect(leader.generated).toBeGreaterThan(0);
    runUntil(run, () => leader.state === 'finished' && follower.state === 'finished');
  });
});

it('a draft has memory, also beside a paused sequence', () => {
  const { run, add, cache } = withBudget(300);
  const paused = add(4, 50);
  run();
  paused.paused = true;
  const a = add(3, 50);
  run();
  for (;;) {
    const length = cache.length(a.slot);
    const { verify } = run();
    expect(a.state).toBe('decode');
    if (!verify) continue;
    expect(cache.budget.used).toBeGreaterThanOrEqual(cache.length(paused.slot) + length + 1 + verify.ids.length);
    break;
  }
});

it('the expected time of an input after a preemption counts from its new start', () => {
  const { clock, run, scheduler, add } = setUp(2, 4, { cache: { budget: 300, memory, capacity: 300 } });
  const a = add(12, 20);
  run();
  clock.now = 10_000;
  scheduler.admit();
  a.preempt(4, clock.now);
  a.start({ slot: 0, cachedTokens: 0 }, 0, clock.now);
  a.notePrefill(4, clock.now + 10);
  expect(a.report()?.notes.at(-1)).toMatchObject({ note: 'prefill', elapsedMs: 10, etaMs: 20 });
});

it('every sequence ends with all of its tokens, whatever runs beside it, and the budget is kept', () => {
  const one = fc.record({
    length: fc.integer({ min: 2, max: 60 }),
    maxTokens: fc.integer({ min: 1, max: 60 }),
    delay: fc.integer({ min: 0, max: 6 }),
    pausedFor: fc.integer({ min: 0, max: 20 }),
  });
  fc.assert(
    fc.property(
      fc.array(one, { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 120, max: 400 }),
      fc.integer({ min: 1, max: 5 }),
      (asked, budget, slots) => {
        const { add, run, cache, scheduler } = setUp(slots, 16, {
          cache: { budget, memory, capacity: 120 },
          copies: [],
        });
        const sequences: { sequence: Sequence; pausedFor: number }[] = [];
        const arrivals = [...asked];
        for (let step = 0; ; step += 1) {
          while (arrivals[0] && arrivals[0].delay <= step) {
            const { length, maxTokens, pausedFor } = arrivals.shift()!;
            sequences.push({ sequence: add(length, maxTokens), pausedFor });
          }
          for (const each of sequences) {
            each.sequence.paused = each.pausedFor > 0 && each.sequence.generated > 0;
            if (each.sequence.paused) each.pausedFor -= 1;
          }
          run();
          expect(cache.budget.used).toBeLessThanOrEqual(budget);
          const done = sequences.every(({ sequence }) => sequence.state === 'finished');
          if (done && arrivals.length === 0) break;
          const waits = arrivals.length > 0 || sequences.some(({ sequence }) => sequence.paused);
          if (!waits) expect(scheduler.busy).toBe(true);
          expect(step).toBeLessThan(20_000);
        }
        for (const [index, { sequence }] of sequences.entries())
          expect(sequence.generated).toBe(asked[index]!.maxTokens);
      },
    ),
    { seed: 1, numRuns: 200 },
  );
});

it('every sequence ends, also if prefixes, copies, scores, pauses, cancels and preemptions come together', () => {
  const one = fc.record({
    length: fc.constantFrom(3, 40, 40, 55),
    maxTokens: fc.integer({ min: 1, max: 200 }),
    delay: fc.integer({ min: 0, max: 40 }),
    pausedAt: fc.integer({ min: 0, max: 300 }),
    pausedFor: fc.integer({ min: 0, max: 60 }),
    cancelledAt: fc.integer({ min: 1, max: 900 }),
    scores: fc.boolean(),
    copies: fc.boolean(),
  });
  fc.assert(
    fc.property(
      fc.array(one, { minLength: 2, maxLength: 10 }),
      fc.integer({ min: 260, max: 500 }),
      fc.integer({ min: 2, max: 5 }),
      (asked, budget, slots) => {
        const { add, run, cache, scheduler } = setUp(slots, 4, {
          cache: { budget, memory, capacity: 260, storedRows: 2 },
          copies: [],
        });
        const sequences: { sequence: Sequence; index: number }[] = [];
        const originals = new Map<number, Sequence>();
        for (let step = 0; ; step += 1) {
          for (const [index, { length, maxTokens, delay, scores, copies }] of asked.entries()) {
            if (delay !== step) continue;
            const original = originals.get(length);
            const sequence = add(length, maxTokens, {
              ...(copies && original && { copyOf: original.request.id }),
              ...(scores && !(copies && original) && { promptLogprobs: 0 }),
            });
            if (!original) originals.set(length, sequence);
            sequences.push({ sequence, index });
          }
          for (const { sequence, index } of sequences) {
            const { pausedAt, pausedFor, cancelledAt } = asked[index]!;
            sequence.paused = step >= pausedAt && step < pausedAt + pausedFor;
            if (step === cancelledAt) sequence.end('cancelled', 0);
          }
          scheduler.settle();
          run();
          expect(cache.budget.used).toBeLessThanOrEqual(budget);
          for (const { sequence } of sequences) {
            const original = sequences.find(({ sequence: { request } }) => request.id === sequence.request.copyOf);
            if (original?.sequence.scoresPrompt && original.sequence.state !== 'finished')
              expect(sequence.generated).toBe(0);
          }
          if (sequences.length === asked.length && sequences.every(({ sequence: { state } }) => state === 'finished'))
            break;
          expect(step).toBeLessThan(20_000);
        }
        expect(cache.free).toBe(slots);
      },
    ),
    { seed: 1, numRuns: 150 },
  );
});
