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

/** A client whose engine process sends the messages of the test. */
function open(): { client: EngineClient; engine: EventEmitter; report: (slotFreeMs?: number) => void } {
  const engine = Object.assign(new EventEmitter(), { connected: true, pid: 1, send: () => true });
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
