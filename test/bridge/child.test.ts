/**
 * The worker's side of one engine process. A fake process has the faults that a real process does not show on
 * demand.
 */
import type { ChildProcess } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { EngineChild, EngineLostError, type Loss } from '../../src/bridge/child.ts';
import type { EngineOptions } from '../../src/protocol/loading.ts';

/** A process that runs and sends nothing, and the losses that are reported of it. */
function silent(openMs?: number, stderr?: PassThrough) {
  const killed: unknown[] = [];
  const fake = Object.assign(new EventEmitter(), {
    connected: true,
    ...(stderr && { stderr }),
    pid: 1 as number | undefined,
    exitCode: null as number | null,
    signalCode: null,
    send: () => true,
    kill: (signal: unknown) => killed.push(signal),
  });
  const ends: Loss[] = [];
  const child = new EngineChild(fake as unknown as ChildProcess, {
    stepMs: 20,
    ...(openMs !== undefined && { openMs }),
    onEnded: (loss) => ends.push(loss),
  });
  return { fake, child, killed, ends, open: () => child.open({} as EngineOptions) };
}

test('kills a process that does not open the model in time, and reports the loss once', async () => {
  const { fake, killed, ends, open } = silent(30);
  const refused = await open().catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(EngineLostError);
  expect((refused as EngineLostError).loss).toMatchObject({ reason: 'the model was not open within 30 ms' });
  expect(killed).toEqual(['SIGKILL']);
  fake.emit('close', null, 'SIGKILL');
  expect(ends).toHaveLength(1);
});

test('reports the loss of a process that hangs and does not end when it is killed', async () => {
  const { fake, killed, ends, open } = silent();
  const opened = open();
  fake.emit('message', { kind: 'opened', facts: {} });
  await opened;
  await expect.poll(() => ends, { timeout: 20_000 }).toHaveLength(1);
  expect(ends[0]).toEqual({ signal: 'SIGKILL', stderrTail: '', reason: 'no step for 0.02 s' });
  expect(killed).toEqual(['SIGKILL']);
});

test('fails to open a model in a process that did not start', async () => {
  const { fake, open } = silent();
  Object.assign(fake, { pid: undefined });
  await expect(open()).rejects.toThrow('the process could not be started');
});

test('fails a pending open when the process is closed, and reports no loss', async () => {
  const { fake, child, ends, open } = silent();
  const opened = open();
  const closed = child.close();
  await expect(opened).rejects.toThrow('the worker stops');
  fake.emit('exit', 0, null);
  fake.emit('close', 0, null);
  await closed;
  expect(ends).toEqual([]);
});

test('does not wait for a process that neither closes nor ends when it is killed', async () => {
  const { child, killed, ends, open } = silent();
  const opening = open().catch((error: unknown) => error);
  await child.close();
  expect(killed).toEqual(['SIGKILL']);
  expect(await opening).toBeInstanceOf(EngineLostError);
  expect(ends).toEqual([]);
});

describe('a process that aborts because it gets no memory', () => {
  /** The loss of a process that ends by `signal` with these last words. */
  async function lossOf(signal: string, words: string): Promise<Loss | undefined> {
    const stderr = new PassThrough();
    const { fake, ends, open } = silent(undefined, stderr);
    const opening = open().catch((error: unknown) => error);
    stderr.end(words);
    await once(stderr, 'end');
    fake.emit('close', null, signal);
    await opening;
    return ends[0];
  }

  test.each([
    ['SIGABRT', "terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc\n"],
    ['SIGABRT', 'FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory\n'],
    ['SIGTRAP', '# Fatal process out of memory: Zone\n'],
  ])('is out_of_memory: %s, %s', async (signal, words) => {
    expect(await lossOf(signal, words)).toMatchObject({
      isOutOfMemory: true,
      signal,
      reason: `out_of_memory (signal ${signal})`,
    });
  });

  test.each([
    ['SIGABRT', 'double free or corruption (out)\n'],
    ['SIGSEGV', 'std::bad_alloc\n'],
    ['SIGKILL', 'std::bad_alloc\n'],
  ])('is told from another end: %s, %s', async (signal, words) => {
    const loss = await lossOf(signal, words);
    expect(loss).toMatchObject({ signal, reason: `signal ${signal}` });
    expect(loss).not.toHaveProperty('isOutOfMemory');
  });
});
