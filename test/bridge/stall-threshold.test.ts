/** The silence after which an engine counts as stalled, and how its steps change it. */
import { expect, test } from 'vitest';
import { StallThreshold } from '../../src/bridge/stall-threshold.ts';

function after(threshold: StallThreshold, ...steps: number[]): number {
  for (const step of steps) threshold.noteStep(step);
  return threshold.ms;
}

test('is --stall-after while ten of the longest steps take less', () => {
  expect(after(new StallThreshold(5000, 60_000), 1, 500, 20)).toBe(5000);
});

test('is ten times the longest step if that is more, and never falls', () => {
  const threshold = new StallThreshold(5000, 60_000);
  expect([after(threshold, 800), after(threshold, 3), after(threshold, 1100)]).toEqual([8000, 8000, 11_000]);
});

test('doubles at most for one absurd step, so that the next stall shows', () => {
  expect(after(new StallThreshold(5000, 60_000), 3_600_000)).toBe(10_000);
});

test('reaches ten times the longest step after a few steps that are long again and again', () => {
  const threshold = new StallThreshold(1000, 600_000);
  const seen = Array.from({ length: 8 }, () => after(threshold, 2500));
  expect(seen).toEqual([2000, 4000, 8000, 16_000, 25_000, 25_000, 25_000, 25_000]);
});

test('is at most half of --step-timeout, so that a stall shows before the engine is killed', () => {
  const threshold = new StallThreshold(5000, 60_000);
  expect(after(threshold, ...new Array<number>(50).fill(20_000))).toBe(30_000);
});

test('is --stall-after even if that is beyond --step-timeout', () => {
  expect(after(new StallThreshold(90_000, 60_000), ...new Array<number>(50).fill(50_000))).toBe(90_000);
});
