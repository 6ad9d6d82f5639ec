/** The lag of the event loop, with a clock of the test. */
import { expect, test } from 'vitest';
import { LoopLag, WINDOW_MS } from '../../src/telemetry/loop-lag.ts';

/** A lag whose ticks and clock the test controls. The timer of a request is never started. */
function lagged() {
  let now = 0;
  const lag = new LoopLag(() => now);
  const pass = (ms: number): void => {
    now += ms;
    lag.tick();
  };
  /** The maximum of the event loop delay in milliseconds; undefined if it is absent. */
  const max = (): number | undefined => {
    const metric = lag.metrics(0).find(({ name }) => name === 'nodejs_eventloop_lag_max_seconds');
    const digits = /^nodejs_eventloop_lag_max_seconds (.+)$/m.exec(metric?.text() ?? '')?.[1];
    return digits === undefined ? undefined : Math.round(Number(digits) * 1000);
  };
  const idle = (ms: number): void => {
    now += ms;
  };
  return { pass, max, idle };
}

test('a scrape changes nothing: every scraper sees the peak', () => {
  const { pass, max } = lagged();
  pass(510);
  expect([max(), max(), max()]).toEqual([500, 500, 500]);
});

test('a peak is visible for one window at least and two at most', () => {
  for (const at of [0, WINDOW_MS / 2, WINDOW_MS - 1000]) {
    const { pass, max } = lagged();
    for (let ms = 0; ms < at; ms += 10) pass(10);
    pass(510);
    for (let ms = 10; ms <= WINDOW_MS; ms += 10) {
      pass(10);
      if (ms % 1000 === 0) expect([at, ms, max()]).toEqual([at, ms, 500]);
    }
    for (let ms = 0; ms < WINDOW_MS; ms += 10) pass(10);
    expect(max()).toBe(0);
  }
});

test('the statistics are absent when no request has run for two windows', () => {
  const { pass, max, idle } = lagged();
  expect(max()).toBeUndefined();
  pass(510);
  idle(WINDOW_MS - 1000);
  expect(max()).toBe(500);
  idle(2 * WINDOW_MS);
  expect(max()).toBeUndefined();
});
