/** The last estimate of the engine, read later, and for a queue that has changed since. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SlotEstimate } from '../../src/bridge/slot-estimate.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Two sequences wait: the next one gets a slot after 5 s, and each further one takes 2 s. */
function noted(): SlotEstimate {
  const estimate = new SlotEstimate();
  estimate.note({ slotFreeMs: 1000, queue: { length: 2, waitMs: 5000, eachMs: 2000 } });
  return estimate;
}

test('without an estimate there is no wait', () => {
  const estimate = new SlotEstimate();
  expect([estimate.slotFreeMs, estimate.waitMs(0), estimate.waitMs(3)]).toEqual([undefined, undefined, undefined]);
});

test('without a queue, the wait is the time until a slot is free', () => {
  const estimate = noted();
  expect([estimate.waitMs(0), estimate.slotFreeMs]).toEqual([1000, 1000]);
});

test('behind the queue that the engine knows, the wait is its estimate', () => {
  expect(noted().waitMs(2)).toBe(5000);
});

test('requests that the engine does not know yet, or that have left, change the wait', () => {
  const estimate = noted();
  expect([estimate.waitMs(5), estimate.waitMs(1)]).toEqual([11_000, 3000]);
});

test('is never less than the time until a slot is free', () => {
  const estimate = new SlotEstimate();
  estimate.note({ slotFreeMs: 900, queue: { length: 9, waitMs: 1000, eachMs: 500 } });
  expect(estimate.waitMs(1)).toBe(900);
});

test('decreases with the time since the report, down to zero', () => {
  const estimate = noted();
  vi.advanceTimersByTime(400);
  expect([estimate.slotFreeMs, estimate.waitMs(2)]).toEqual([600, 4600]);
  vi.advanceTimersByTime(60_000);
  expect([estimate.slotFreeMs, estimate.waitMs(2)]).toEqual([0, 0]);
});

test('a report without an estimate, and the loss of the engine, end the estimate', () => {
  const estimate = noted();
  estimate.note({});
  expect([estimate.slotFreeMs, estimate.waitMs(2)]).toEqual([undefined, undefined]);
  const lost = noted();
  lost.forget();
  expect([lost.slotFreeMs, lost.waitMs(2)]).toEqual([undefined, undefined]);
});
