/** The queue of spans, compared with a plain list. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SpanQueue, type SpanRank } from '../../../src/telemetry/traces/span-queue.ts';

/** A push of a text of this length, or a take of at most this many spans and characters. */
const step = fc.oneof(
  fc.record({ push: fc.nat(40), rank: fc.constantFrom('job', 'refusal') as fc.Arbitrary<SpanRank> }),
  fc.record({ take: fc.integer({ min: 1, max: 8 }), chars: fc.integer({ min: 1, max: 60 }) }),
);

test('keeps the order, loses no span that it accepted, and is never longer or larger than its limits', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), fc.integer({ min: 1, max: 12 }), (steps, limit) => {
      const maxChars = 150;
      const queue = new SpanQueue(limit, maxChars);
      let model: string[] = [];
      let number = 0;
      const charsOf = (spans: readonly string[]): number => spans.join('').length;
      for (const one of steps) {
        if ('push' in one) {
          number += 1;
          const span = `${number}:`.padEnd(one.push, '.');
          const share = one.rank === 'job' ? 1 : 1 / 2;
          const fits = model.length < limit * share && charsOf(model) + span.length <= maxChars * share;
          expect(queue.push(span, one.rank)).toBe(fits);
          if (fits) model.push(span);
        } else {
          const batch = queue.take(one.take, one.chars);
          expect(batch).toEqual(model.slice(0, batch.length));
          expect(batch.length).toBeLessThanOrEqual(one.take);
          if (model.length > 0) expect(batch.length).toBeGreaterThan(0);
          if (batch.length > 1) expect(charsOf(batch)).toBeLessThanOrEqual(one.chars);
          const next = model[batch.length];
          if (next !== undefined && batch.length < one.take)
            expect(charsOf(batch) + next.length).toBeGreaterThan(one.chars);
          model = model.slice(batch.length);
        }
        expect(queue.length).toBe(model.length);
      }
      expect(queue.take(1000, 100_000)).toEqual(model);
    }),
  );
});

test('refusals fill half of the queue, and spans of jobs the rest', () => {
  const queue = new SpanQueue(10);
  const pushed = Array.from({ length: 20 }, () => queue.push('refused', 'refusal'));
  expect(pushed.filter(Boolean)).toHaveLength(5);
  const jobs = Array.from({ length: 20 }, () => queue.push('job', 'job'));
  expect(jobs.filter(Boolean)).toHaveLength(5);
});
