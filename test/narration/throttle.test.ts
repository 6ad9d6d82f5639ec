/** A repeated event is reported rarely, and its count is complete. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { REPORT_WINDOW_MS, ThrottledCount } from '../../src/narration/throttle.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function counted(windowMs?: number): { reports: number[]; count: ThrottledCount } {
  const reports: number[] = [];
  return { reports, count: new ThrottledCount((n) => reports.push(n), windowMs) };
}

test('the first occurrence is reported at once, the others together when the window ends', () => {
  const { reports, count } = counted();
  count.add();
  expect(reports).toEqual([1]);
  for (let n = 0; n < 20; n += 1) count.add();
  count.add(4);
  vi.advanceTimersByTime(REPORT_WINDOW_MS - 1);
  expect(reports).toEqual([1]);
  vi.advanceTimersByTime(1);
  expect(reports).toEqual([1, 24]);
});

test('a report opens the next window', () => {
  const { reports, count } = counted(100);
  count.add();
  count.add();
  vi.advanceTimersByTime(100);
  count.add();
  expect(reports).toEqual([1, 1]);
  vi.advanceTimersByTime(100);
  expect(reports).toEqual([1, 1, 1]);
});

test('a window without an occurrence reports nothing, and the next occurrence is reported at once', () => {
  const { reports, count } = counted(100);
  count.add(3);
  vi.advanceTimersByTime(1000);
  expect([reports, vi.getTimerCount()]).toEqual([[3], 0]);
  count.add(2);
  expect(reports).toEqual([3, 2]);
});

test('flush reports the rest and leaves no timer', () => {
  const { reports, count } = counted();
  count.flush();
  count.add(2);
  count.add(5);
  count.flush();
  count.flush();
  expect([reports, vi.getTimerCount()]).toEqual([[2, 5], 0]);
  count.add();
  expect(reports).toEqual([2, 5, 1]);
});

test('an occurrence inside of a report waits for the window', () => {
  const reports: number[] = [];
  const count: ThrottledCount = new ThrottledCount((n) => {
    reports.push(n);
    if (reports.length < 3) count.add();
  }, 100);
  count.add();
  expect(reports).toEqual([1]);
  vi.advanceTimersByTime(100);
  expect(reports).toEqual([1, 1]);
});

test('the sum of all reports equals the sum of all occurrences', () => {
  const { reports, count } = counted(50);
  let sum = 0;
  for (let step = 1; step <= 200; step += 1) {
    count.add(step % 7);
    sum += step % 7;
    vi.advanceTimersByTime((step * 13) % 29);
  }
  count.flush();
  expect(reports.reduce((a, b) => a + b, 0)).toBe(sum);
  expect(reports.every((n) => n > 0)).toBe(true);
});
