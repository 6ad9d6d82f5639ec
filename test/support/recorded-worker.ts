/** A worker that `ps`, `watch` and `launch` find by its record. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { eventually } from './eventually.ts';
import { startWorker, type TestWorker } from './worker.ts';

/** The folder of the records of this user. @param home the folder for temporary files (`TMPDIR`) */
export const recordsFolder = (home: string): string => join(home, `rbees-workerd-${process.getuid?.()}`, 'workers');

/** Names of the records, sorted. */
export const recordsIn = async (home: string): Promise<string[]> =>
  (await readdir(recordsFolder(home)).catch(() => [])).sort();

/**
 * Starts a worker and waits for its record, which the worker writes in the background, some time after it is ready.
 * @param home the folder for temporary files
 */
export async function startRecorded(home: string, args: readonly string[]): Promise<TestWorker> {
  const worker = await startWorker({ args, env: { TMPDIR: home } });
  const isOfWorker = (name: string): boolean => name.startsWith(`${worker.process.pid}-`) && name.endsWith('.json');
  await eventually(async () => expect((await recordsIn(home)).some(isOfWorker)).toBe(true));
  return worker;
}
