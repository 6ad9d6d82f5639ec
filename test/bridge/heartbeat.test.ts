/** How long an engine may be silent, on a clock that the test turns. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Heartbeat } from '../../src/bridge/heartbeat.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance', 'setInterval', 'clearInterval'] });
});
afterEach(() => {
  vi.useRealTimers();
});

function watch(patienceMs: number): {
  pulse: Heartbeat;
  ping: ReturnType<typeof vi.fn>;
  silent: ReturnType<typeof vi.fn>;
} {
  const [ping, silent] = [vi.fn(), vi.fn()];
  return { pulse: new Heartbeat(patienceMs, ping, silent), ping, silent };
}

test('an engine that says nothing is pinged once, and given up when the patience is over, once', () => {
  const { ping, silent } = watch(10_000);
  vi.advanceTimersByTime(9900);
  expect(ping).toHaveBeenCalledTimes(1);
  expect(silent).not.toHaveBeenCalled();
  vi.advanceTimersByTime(60_000);
  expect(silent).toHaveBeenCalledTimes(1);
});

test('an idle engine that answers is pinged every second and never given up', () => {
  const { pulse, ping, silent } = watch(3000);
  ping.mockImplementation(() => pulse.heard());
  vi.advanceTimersByTime(60_000);
  expect(ping.mock.calls.length).toBeGreaterThanOrEqual(60);
  expect(silent).not.toHaveBeenCalled();
});

test('a word just in time starts the patience anew', () => {
  const { pulse, silent } = watch(4000);
  for (let words = 0; words < 10; words += 1) {
    vi.advanceTimersByTime(3000);
    pulse.heard();
  }
  expect(silent).not.toHaveBeenCalled();
  vi.advanceTimersByTime(5000);
  expect(silent).toHaveBeenCalledTimes(1);
});

test('time in which this process was suspended does not count', () => {
  const { pulse, silent } = watch(4000);
  const jump = performance.now() + 3_600_000;
  vi.spyOn(performance, 'now').mockImplementation(() => jump);
  vi.advanceTimersByTime(1000);
  expect(silent).not.toHaveBeenCalled();
  pulse.stop();
});

test('a watch that was stopped says nothing', () => {
  const { pulse, ping, silent } = watch(1000);
  pulse.stop();
  vi.advanceTimersByTime(60_000);
  expect([ping.mock.calls, silent.mock.calls]).toEqual([[], []]);
});
