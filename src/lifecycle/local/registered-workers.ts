/**
 * Reads the records of the workers of this user, and removes those of ended processes. Trusts no folder and
 * no file of another user.
 */
import { constants } from 'node:fs';
import { lstat, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isPrivateFolder } from './private-folder.ts';
import { type Fate, fateOf } from './process-life.ts';
import { isRecordName, MAX_RECORD_BYTES, recordIn, UNFINISHED, type WorkerRecord } from './worker-record.ts';

/** A worker whose process has not ended. */
export interface RegisteredWorker {
  readonly record: WorkerRecord;
  readonly fate: Exclude<Fate, 'ended'>;
}

/** A link could lead to any file, and opening a pipe would wait for its writer. */
const FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
/** Milliseconds after which a file that was never finished is removed. */
const UNFINISHED_MS = 60_000;

/**
 * The workers in the folder, the oldest first. A file that is no record is ignored.
 * @throws Error if the folder belongs to another user, is open to others, or cannot be read
 */
export async function registeredWorkers(folder: string): Promise<RegisteredWorker[]> {
  if (!(await isPrivateFolder(folder))) return [];
  const workers: RegisteredWorker[] = [];
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    if (name.endsWith(UNFINISHED)) await removeOld(path);
    const record = isRecordName(name) ? await read(path).catch(() => undefined) : undefined;
    if (!record) continue;
    const fate = await fateOf(record.pid, record.process);
    if (fate === 'ended') await remove(path);
    else workers.push({ record, fate });
  }
  return workers.sort((a, b) => (a.record.started_at < b.record.started_at ? -1 : 1));
}

/** @throws Error for a file that is no record of this user */
async function read(path: string): Promise<WorkerRecord> {
  const file = await open(path, FLAGS);
  try {
    const found = await file.stat();
    if (!found.isFile() || found.uid !== process.getuid?.() || found.size > MAX_RECORD_BYTES)
      throw new Error('is no record');
    return recordIn(await file.readFile('utf8'));
  } finally {
    await file.close();
  }
}

/** Its writer was killed between the write and the rename. */
async function removeOld(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found && Date.now() - found.mtimeMs > UNFINISHED_MS) await remove(path);
}

const remove = (path: string): Promise<void> => rm(path, { force: true }).catch(() => undefined);
