import type { ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { EngineClient } from '../../src/bridge/client.ts';
import type { EngineOptions } from '../../src/protocol/loading.ts';
import type { FromEngine } from '../../src/protocol/messages.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A client with an engine process that says what the test lets it say. */
function open(): { client: EngineClient; engine: EventEmitter; say: (slotFreeMs?: number) => void } {
  const engine = Object.assign(new EventEmitter(), { connected: true, pid: 1, send: () => true });
  const client = new EngineClient(
    {},
    { onLost: () => undefined, onLine: () => undefined },
    engine as unknown as ChildProcess,
  );
  void client.start({} as EngineOptions, { stepMs: 60_000 }, () => undefined).catch(() => undefined);
  const say = (slotFreeMs?: number): void => {
    const report: FromEngine = {
      kind: 'report',
      batch: 1,
      ...(slotFreeMs !== undefined && { slotFreeMs }),
      sequences: [],
    };
    engine.emit('message', report);
  };
  return { client, engine, say };
}

test('when a slot will be free is unknown until the engine says so, and while a slot is free', () => {
  const { client, say } = open();
  expect(client.slotFreeMs).toBeUndefined();
  say(800);
  expect(client.slotFreeMs).toBe(800);
  say();
  expect(client.slotFreeMs).toBeUndefined();
});

test('the time that has passed since the report is taken off, to nothing at least', () => {
  const { client, say } = open();
  say(800);
  vi.advanceTimersByTime(300);
  expect(client.slotFreeMs).toBe(500);
  vi.advanceTimersByTime(3000);
  expect(client.slotFreeMs).toBe(0);
  say(40_000);
  expect(client.slotFreeMs).toBe(40_000);
});

test('what an engine said that is lost is forgotten', () => {
  const { client, engine, say } = open();
  say(800);
  engine.emit('close', 1, null);
  expect(client.slotFreeMs).toBeUndefined();
});
