/** One engine process as the worker sees it: a part that is played here where no real process would play it. */
import type { ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { EngineChild, EngineLostError, type Loss } from '../../src/bridge/child.ts';
import type { EngineOptions } from '../../src/protocol/loading.ts';

/** A process that is there and says nothing, and what is told of its end. */
function mute(pid: number | undefined = 1) {
  const killed: unknown[] = [];
  const fake = Object.assign(new EventEmitter(), {
    connected: true,
    pid,
    exitCode: null as number | null,
    signalCode: null,
    send: () => true,
    kill: (signal: unknown) => killed.push(signal),
  });
  const ends: Loss[] = [];
  const child = new EngineChild(fake as unknown as ChildProcess, {
    onMessage: () => undefined,
    onLine: () => undefined,
    onEnded: (loss) => ends.push(loss),
  });
  const open = (openMs?: number) =>
    child.open({} as EngineOptions, { stepMs: 20, ...(openMs !== undefined && { openMs }) }, () => undefined);
  return { fake, child, killed, ends, open };
}

test('a restart that does not come to an end is a loss, told once, and the process is killed', async () => {
  const { fake, killed, ends, open } = mute();
  const refused = await open(30).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(EngineLostError);
  expect((refused as EngineLostError).loss).toMatchObject({ reason: 'the model was not open within 30 ms' });
  expect(killed).toEqual(['SIGKILL']);
  fake.emit('close', null, 'SIGKILL');
  expect(ends).toHaveLength(1);
});

test('a process that hangs and cannot even die is lost all the same', async () => {
  const { fake, killed, ends, open } = mute();
  const opened = open();
  fake.emit('message', { kind: 'opened', facts: {} });
  await opened;
  await expect.poll(() => ends, { timeout: 20_000 }).toHaveLength(1);
  expect(ends[0]).toEqual({ signal: 'SIGKILL', stderrTail: '', reason: 'no step for 0.02 s' });
  expect(killed).toEqual(['SIGKILL']);
});

test('a process that was never started is lost', async () => {
  const { fake, open } = mute();
  Object.assign(fake, { pid: undefined });
  await expect(open()).rejects.toThrow('the process could not be started');
});

test('one that is closed is not lost, and whoever waits for it to open is told', async () => {
  const { fake, child, ends, open } = mute();
  const opened = open();
  const closed = child.close();
  await expect(opened).rejects.toThrow('the worker stops');
  fake.emit('exit', 0, null);
  fake.emit('close', 0, null);
  await closed;
  expect(ends).toEqual([]);
});

test('one that neither closes nor dies is not waited for', async () => {
  const { child, killed, ends, open } = mute();
  const opening = open().catch((error: unknown) => error);
  await child.close();
  expect(killed).toEqual(['SIGKILL']);
  expect(await opening).toBeInstanceOf(EngineLostError);
  expect(ends).toEqual([]);
});
