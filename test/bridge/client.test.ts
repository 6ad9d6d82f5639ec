import type { ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { EngineClient } from '../../src/bridge/client.ts';
import type { Silence, Step } from '../../src/bridge/sequence-inbox.ts';
import type { EngineOptions } from '../../src/protocol/loading.ts';
import type { FromEngine, SequenceRequest } from '../../src/protocol/messages.ts';
import { request } from '../engine/harness.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
});
const engines: EventEmitter[] = [];
afterEach(() => {
  // Otherwise its client would wait for it in the tests that follow.
  for (const engine of engines.splice(0)) engine.emit('close', 0, null);
  vi.useRealTimers();
});

/** A process that does nothing by itself. It ends with the test. */
function fakeEngine(parts: object = {}): EventEmitter {
  const engine = Object.assign(new EventEmitter(), { connected: true, pid: 1, send: () => true, ...parts });
  engines.push(engine);
  return engine;
}

/** A client whose engine process sends the messages of the test. */
function open(): { client: EngineClient; engine: EventEmitter; report: (slotFreeMs?: number) => void } {
  const engine = fakeEngine();
  const client = new EngineClient({ environment: {}, stepMs: 60_000 }, engine as unknown as ChildProcess);
  void client.start({} as EngineOptions).catch(() => undefined);
  const report = (slotFreeMs?: number): void => {
    const message: FromEngine = {
      kind: 'report',
      batch: 1,
      ...(slotFreeMs !== undefined && { slotFreeMs }),
      sequences: [],
    };
    engine.emit('message', message);
  };
  return { client, engine, report };
}

test('has no estimate of a free slot before the first report, and while a slot is free', () => {
  const { client, report } = open();
  expect(client.slotFreeMs).toBeUndefined();
  report(800);
  expect(client.slotFreeMs).toBe(800);
  report();
  expect(client.slotFreeMs).toBeUndefined();
});

test('subtracts the time since the report, down to zero', () => {
  const { client, report } = open();
  report(800);
  vi.advanceTimersByTime(300);
  expect(client.slotFreeMs).toBe(500);
  vi.advanceTimersByTime(3000);
  expect(client.slotFreeMs).toBe(0);
  report(40_000);
  expect(client.slotFreeMs).toBe(40_000);
});

test('forgets the estimate of a lost engine', () => {
  const { client, engine, report } = open();
  report(800);
  engine.emit('close', 1, null);
  expect(client.slotFreeMs).toBeUndefined();
});

describe('a silent engine', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate'] });
  });

  /** A client with an open engine that answers no ping, and its silences. */
  function silent() {
    const engine = fakeEngine({ kill: () => true });
    const silences: Silence[] = [];
    const client = new EngineClient(
      { environment: {}, stepMs: 60_000, stallMs: 5000, onSilence: (silence) => silences.push(silence) },
      engine as unknown as ChildProcess,
    );
    const opened = client.start({} as EngineOptions);
    engine.emit('message', { kind: 'opened', facts: {} });
    const step = (stepMs: number): void => {
      vi.advanceTimersByTime(stepMs);
      engine.emit('message', { kind: 'report', batch: 1, stepMs, sequences: [] });
    };
    const job = (): AsyncGenerator<Step, void, void> => client.submit(request(), new AbortController().signal);
    return { client, engine, silences, opened, step, job };
  }
  const next = async (steps: AsyncGenerator<Step, void, void>) => (await steps.next()).value as Step;

  test('tells every request of the stall and of its end, also a request that comes in between', async () => {
    const { engine, silences, job } = silent();
    const early = job();
    const first = next(early);
    vi.advanceTimersByTime(5050);
    expect(silences).toEqual([{ state: 'stalled', ms: expect.any(Number) }]);
    const late = job();
    expect((await first).silence).toEqual(silences[0]);
    expect((await next(late)).silence).toEqual(silences[0]);
    engine.emit('message', { kind: 'alive' });
    expect(silences[1]).toEqual({ state: 'recovered', ms: 5050 });
    for (const steps of [early, late]) expect((await next(steps)).silence).toEqual(silences[1]);
  });

  test('that is lost is not stalled any more: its queue hears only of the loss', async () => {
    const { engine, silences, job } = silent();
    const waiting = job();
    const first = next(waiting);
    vi.advanceTimersByTime(5050);
    expect((await first).silence?.state).toBe('stalled');
    engine.emit('close', null, 'SIGKILL');
    expect(await next(waiting)).toMatchObject({ lost: 'signal SIGKILL' });
    expect(silences).toHaveLength(1);
  });

  test('with steps of twelve seconds is stalled twice, and never again', () => {
    const { silences, step } = silent();
    const stalls = (): number => silences.filter(({ state }) => state === 'stalled').length;
    for (let steps = 0; steps < 3; steps += 1) step(12_000);
    expect(stalls()).toBe(2);
    for (let steps = 0; steps < 20; steps += 1) step(12_000);
    expect(stalls()).toBe(2);
  });
});

test('submits the sequences of a group as copies of the first one', async () => {
  const sent: { kind: string; request?: SequenceRequest }[] = [];
  const send = (message: { kind: string }): boolean => sent.push(message) > 0;
  const engine = fakeEngine({ send });
  const client = new EngineClient({ environment: {}, stepMs: 60_000 }, engine as unknown as ChildProcess);
  void client.start({} as EngineOptions).catch(() => undefined);
  const [one, two] = [{}, {}];
  const stop = new AbortController();
  const { id: _, ...asked } = request();
  const groups = [one, undefined, two, one, one, two];
  const submitted = () => sent.flatMap(({ request: given }) => (given ? [given] : []));
  const steps = groups.map((group) => client.submit({ ...asked, ...(group && { group }) }, stop.signal).next());
  expect(submitted()).toEqual([]);
  engine.emit('message', { kind: 'opened', facts: {} });
  const expected = [undefined, undefined, undefined, 0, 0, 2];
  expect(submitted().map(({ id, copyOf }) => [id, copyOf])).toEqual(expected.map((copyOf, id) => [id, copyOf]));
  for (const given of submitted()) expect(given).not.toHaveProperty('group');
  expect(await Promise.all(steps)).toHaveLength(6);
});

test('counts slots, queue and tokens as its requests come, start and go', async () => {
  const { client, engine } = open();
  engine.emit('message', { kind: 'opened', facts: {} });
  const stop = new AbortController();
  const [one, two] = [
    client.submit(request({ prompt: [1, 2, 3] }), stop.signal),
    client.submit(request(), stop.signal),
  ];
  const steps = [one.next(), two.next()];
  const waiting = 3 + request().prompt.length;
  expect(client.occupancy).toEqual({ busy: 0, waiting: 2, tokens: 0, waitingTokens: waiting, left: 0 });
  const started = { note: 'started', slot: 0, cachedTokens: 0, others: 0, queueMs: 0 } as const;
  engine.emit('message', {
    kind: 'report',
    batch: 1,
    sequences: [{ id: 0, notes: [started], tokens: [{ id: 5 }] }],
  });
  await steps[0];
  expect(client.occupancy).toEqual({ busy: 1, waiting: 1, tokens: 4, waitingTokens: waiting - 3, left: 0 });
  engine.emit('close', 1, null);
  expect((await one.next()).value).toMatchObject({ interrupted: 'exit code 1' });
  expect(client.occupancy).toEqual({ busy: 0, waiting: 2, tokens: 0, waitingTokens: waiting + 1, left: 0 });
  client.abandon('no engine');
  await steps[1];
  for (const steps of [one, two]) await expect(steps.next()).rejects.toThrow('no engine');
  expect(client.occupancy).toEqual({ busy: 0, waiting: 0, tokens: 0, waitingTokens: 0, left: 0 });
});
