/** Requests to stop the worker, and the second signal or fault, which forces the stop. */
import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { StopRequests } from '../../src/lifecycle/stop-requests.ts';

/** True if the promise has resolved. */
const settled = (promise: Promise<unknown>): Promise<boolean> =>
  Promise.race([promise.then(() => true), new Promise<boolean>((resolve) => setImmediate(() => resolve(false)))]);

test('the first request to stop counts, with its exit code', async () => {
  const stops = new StopRequests(new EventEmitter());
  stops.request('callback_failed', 1);
  stops.request('sigterm');
  expect(await stops.requested).toMatchObject({ reason: 'callback_failed', exitCode: 1 });
});

test.each([
  ['SIGTERM', 'SIGTERM'],
  ['SIGINT', 'SIGTERM'],
])('%s requests a stop, then %s forces it', async (first, second) => {
  const signals = new EventEmitter();
  const stops = new StopRequests(signals);
  stops.watchSignals();
  signals.emit(first);
  expect(await stops.requested).toMatchObject({ reason: first.toLowerCase(), exitCode: 0 });
  expect(await settled(stops.forced)).toBe(false);
  signals.emit(second);
  expect(await settled(stops.forced)).toBe(true);
});

test('a second signal forces a stop that another source requested', async () => {
  const signals = new EventEmitter();
  const stops = new StopRequests(signals);
  stops.watchSignals();
  stops.request('stdin_closed');
  signals.emit('SIGTERM');
  expect(await settled(stops.forced)).toBe(false);
  signals.emit('SIGTERM');
  expect(await settled(stops.forced)).toBe(true);
});

test('hang-ups request a stop and never force it, before and after other signals', async () => {
  const signals = new EventEmitter();
  const stops = new StopRequests(signals);
  stops.watchSignals();
  stops.watchHangup();
  signals.emit('SIGHUP');
  expect(await stops.requested).toMatchObject({ reason: 'sighup', exitCode: 0 });
  for (const name of ['SIGHUP', 'SIGTERM', 'SIGHUP', 'SIGHUP']) signals.emit(name);
  expect(await settled(stops.forced)).toBe(false);
  signals.emit('SIGTERM');
  expect(await settled(stops.forced)).toBe(true);
});

test.each(['uncaughtException', 'unhandledRejection'])(
  '%s is reported and drains with exit code 1; a second one forces the stop',
  async (name) => {
    const faults = new EventEmitter();
    const stops = new StopRequests(faults);
    const reported: unknown[] = [];
    stops.watchFaults((fault) => reported.push(fault));
    const fault = new Error('a bug');
    faults.emit(name, fault);
    expect(reported).toEqual([fault]);
    expect(await stops.requested).toMatchObject({ reason: 'fault', exitCode: 1 });
    expect(await settled(stops.forced)).toBe(false);
    faults.emit(name, fault);
    expect(await settled(stops.forced)).toBe(true);
  },
);

test('a parent that ends requests a stop, a running parent does not', async () => {
  const stops = new StopRequests(new EventEmitter());
  let parent = 7;
  stops.watchParent(() => parent, 5);
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(stops.first).toBeUndefined();
  parent = 1;
  expect(await stops.requested).toMatchObject({ reason: 'parent_gone', exitCode: 0 });
});
