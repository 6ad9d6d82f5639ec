/** The longest silence of an engine, on a fake clock. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Heartbeat } from '../../src/bridge/heartbeat.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance', 'setInterval', 'clearInterval'] });
});
afterEach(() => {
  vi.useRealTimers();
});

function watch(timeoutMs: number): {
  heartbeat: Heartbeat;
  ping: ReturnType<typeof vi.fn>;
  silent: ReturnType<typeof vi.fn>;
} {
  const [ping, silent] = [vi.fn(), vi.fn()];
  return { heartbeat: new Heartbeat(timeoutMs, ping, silent), ping, silent };
}

test('pings a silent engine once, and reports it once after the timeout', () => {
  const { ping, silent } = watch(10_000);
  vi.advanceTimersByTime(9900);
  expect(ping).toHaveBeenCalledTimes(1);
  expect(silent).not.toHaveBeenCalled();
  vi.advanceTimersByTime(60_000);
  expect(silent).toHaveBeenCalledTimes(1);
});

test('pings an idle engine every second, and never reports it while it answers', () => {
  const { heartbeat, ping, silent } = watch(3000);
  ping.mockImplementation(() => heartbeat.heard());
  vi.advanceTimersByTime(60_000);
  expect(ping.mock.calls.length).toBeGreaterThanOrEqual(60);
  expect(silent).not.toHaveBeenCalled();
});

test('starts the timeout again after a message just in time', () => {
  const { heartbeat, silent } = watch(4000);
  for (let messages = 0; messages < 10; messages += 1) {
    vi.advanceTimersByTime(3000);
    heartbeat.heard();
  }
  expect(silent).not.toHaveBeenCalled();
  vi.advanceTimersByTime(5000);
  expect(silent).toHaveBeenCalledTimes(1);
});

test('does not count the time of a suspension of this process', () => {
  const { heartbeat, silent } = watch(4000);
  const jump = performance.now() + 3_600_000;
  vi.spyOn(performance, 'now').mockImplementation(() => jump);
  vi.advanceTimersByTime(1000);
  expect(silent).not.toHaveBeenCalled();
  heartbeat.stop();
});

test('does nothing after it was stopped', () => {
  const { heartbeat, ping, silent } = watch(1000);
  heartbeat.stop();
  vi.advanceTimersByTime(60_000);
  expect([ping.mock.calls, silent.mock.calls]).toEqual([[], []]);
});
