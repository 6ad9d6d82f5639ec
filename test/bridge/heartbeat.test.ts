/** The silence of an engine: stalls and hangs, on a fake clock. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ALIVE_MS, aliveInterval, Heartbeat } from '../../src/bridge/heartbeat.ts';
import { StallThreshold } from '../../src/bridge/stall-threshold.ts';

let watched: Heartbeat | undefined;
let suspendedMs = 0;
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate'] });
  const clock = performance.now.bind(performance);
  suspendedMs = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => clock() + suspendedMs);
});
afterEach(() => {
  watched?.stop();
  vi.restoreAllMocks();
  vi.useRealTimers();
});

function watch(stepMs: number, stallMs?: number) {
  const [silent, stalled, recovered] = [vi.fn(), vi.fn(), vi.fn()];
  const threshold = stallMs === undefined ? undefined : new StallThreshold(stallMs, stepMs);
  const heartbeat = new Heartbeat({
    stepMs,
    threshold,
    onSilent: silent,
    onStalled: stalled,
    onRecovered: recovered,
  });
  watched = heartbeat;
  return { heartbeat, threshold, silent, stalled, recovered };
}

/** The process is suspended for `ms`: its clock runs, its timers do not. */
function suspend(ms: number): void {
  suspendedMs += ms;
}

describe('an engine that does not answer', () => {
  test('is reported once after the timeout', () => {
    const { silent } = watch(10_000);
    vi.advanceTimersByTime(9990);
    expect(silent).not.toHaveBeenCalled();
    vi.advanceTimersByTime(60_000);
    expect(silent).toHaveBeenCalledTimes(1);
  });

  test('has a new timeout after a message just in time', () => {
    const { heartbeat, silent } = watch(4000);
    for (let messages = 0; messages < 10; messages += 1) {
      vi.advanceTimersByTime(3990);
      heartbeat.heard();
    }
    expect(silent).not.toHaveBeenCalled();
    vi.advanceTimersByTime(4100);
    expect(silent).toHaveBeenCalledTimes(1);
  });

  test('is not reported for the time of a suspension of this process', () => {
    const { silent } = watch(4000);
    vi.advanceTimersByTime(3000);
    suspend(3_600_000);
    // Both processes were suspended. The engine has one more interval, from the first timer on.
    vi.advanceTimersByTime(1000 + aliveInterval({ stepMs: 4000 }) - 10);
    expect(silent).not.toHaveBeenCalled();
    vi.advanceTimersByTime(20);
    expect(silent).toHaveBeenCalledTimes(1);
  });

  test('is not reported if its messages of that time are read before the decision', () => {
    const { heartbeat, silent, stalled } = watch(60_000, 5000);
    vi.advanceTimersByTime(4999);
    // The tick at five seconds runs first; the messages are read after it, and before the decision.
    setImmediate(() => heartbeat.heard());
    vi.advanceTimersByTime(1);
    expect([silent.mock.calls, stalled.mock.calls]).toEqual([[], []]);
  });

  test('is not watched after a stop', () => {
    const { heartbeat, silent, stalled } = watch(10_000, 1000);
    heartbeat.stop();
    vi.advanceTimersByTime(60_000);
    expect([silent.mock.calls, stalled.mock.calls]).toEqual([[], []]);
  });
});

test('an idle engine whose messages are late by almost the rest of the limit is never reported', () => {
  const { heartbeat, silent, stalled } = watch(60_000, 5000);
  for (let messages = 0; messages < 20; messages += 1) {
    vi.advanceTimersByTime(4990);
    heartbeat.heard();
  }
  expect([silent.mock.calls, stalled.mock.calls]).toEqual([[], []]);
});

test('the interval of an engine is four fifths of the shorter limit', () => {
  const interval = (stepMs: number, stallMs: number) =>
    aliveInterval({ stepMs, threshold: new StallThreshold(stallMs, stepMs) });
  expect([interval(60_000, 5000), interval(60_000, 1000), interval(1000, 5000), interval(60_000, 30_000)]).toEqual([
    4000,
    800,
    800,
    ALIVE_MS,
  ]);
});

describe('a stall', () => {
  test('is reported once, with the age of the last message, and its end with the length of the silence', () => {
    const { heartbeat, stalled, recovered, silent } = watch(60_000, 5000);
    vi.advanceTimersByTime(700);
    heartbeat.heard();
    vi.advanceTimersByTime(4980);
    expect(stalled).not.toHaveBeenCalled();
    vi.advanceTimersByTime(20_000);
    expect(stalled).toHaveBeenCalledTimes(1);
    expect(stalled.mock.calls[0]?.[0]).toBeGreaterThanOrEqual(5000);
    expect(stalled.mock.calls[0]?.[0]).toBeLessThan(5050);
    heartbeat.heard();
    expect(recovered.mock.calls).toEqual([[24_980]]);
    heartbeat.heard();
    expect([recovered.mock.calls.length, silent.mock.calls.length]).toEqual([1, 0]);
  });

  test('is watched for from its end on, not from the limit of a hang on', () => {
    const { heartbeat, stalled } = watch(60_000, 5000);
    vi.advanceTimersByTime(5100);
    heartbeat.heard();
    vi.advanceTimersByTime(5010);
    expect(stalled).toHaveBeenCalledTimes(2);
  });

  test('is reported again after it has ended', () => {
    const { heartbeat, stalled } = watch(60_000, 1000);
    for (let stalls = 0; stalls < 3; stalls += 1) {
      vi.advanceTimersByTime(1100);
      heartbeat.heard();
    }
    expect(stalled).toHaveBeenCalledTimes(3);
  });

  test('that does not end is a hang, without an end of the stall', () => {
    const { heartbeat, stalled, silent, recovered } = watch(10_000, 1000);
    vi.advanceTimersByTime(9990);
    expect([stalled.mock.calls.length, silent.mock.calls.length]).toEqual([1, 0]);
    vi.advanceTimersByTime(20);
    heartbeat.heard();
    expect([stalled.mock.calls.length, silent.mock.calls.length, recovered.mock.calls.length]).toEqual([1, 1, 0]);
  });

  test('is never reported if the limit of a hang is lower', () => {
    const { stalled, silent } = watch(2000, 5000);
    vi.advanceTimersByTime(60_000);
    expect([stalled.mock.calls.length, silent.mock.calls.length]).toEqual([0, 1]);
  });

  test('begins later for an engine with long steps', () => {
    const { heartbeat, threshold, stalled } = watch(60_000, 5000);
    threshold?.noteStep(900);
    heartbeat.heard();
    vi.advanceTimersByTime(8900);
    expect(stalled).not.toHaveBeenCalled();
    vi.advanceTimersByTime(200);
    expect(stalled).toHaveBeenCalledTimes(1);
  });

  test('is not shorter than the limit if a timer is early', () => {
    const { stalled } = watch(60_000, 5000);
    suspend(-0.4);
    vi.advanceTimersByTime(5000);
    vi.advanceTimersToNextTimer();
    expect(stalled).not.toHaveBeenCalled();
    vi.advanceTimersByTime(2);
    expect(stalled.mock.calls[0]?.[0]).toBeGreaterThanOrEqual(5000);
  });

  test('is not reported for the time of a suspension of this process', () => {
    const { heartbeat, stalled } = watch(60_000, 5000);
    for (let times = 0; times < 10; times += 1) {
      suspend(600_000);
      vi.advanceTimersByTime(ALIVE_MS);
      heartbeat.heard();
    }
    expect(stalled).not.toHaveBeenCalled();
  });
});
