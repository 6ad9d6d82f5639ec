/**
 * Records this worker in a folder of its user, so that `ps`, `watch` and `launch` find it. A convenience: the
 * worker neither waits for the record nor reports a failure, for example in a container whose folder for
 * temporary files cannot be written.
 */
import { rmSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BoundAddress, isEveryAddress } from '../callback/callback-address.ts';
import { identityFields, type WorkerIdentity } from '../identity.ts';
import { makePrivateFolder } from './private-folder.ts';
import { ownLife } from './process-life.ts';
import { recordName, UNFINISHED, type WorkerRecord } from './worker-record.ts';

/**
 * Milliseconds until the record is written. Writing takes 3 ms of a processor, which a start of a small model
 * would notice; a large model still loads then.
 */
const DELAY_MS = 250;

/**
 * Writes the record in the background. Its file is removed when this process exits.
 * @param folder undefined on systems without user ids: there is no record
 */
export function registerWorker(folder: string | undefined, identity: WorkerIdentity, bound: BoundAddress): void {
  if (folder === undefined) return;
  setTimeout(() => {
    // A removed or full folder is no reason to disturb the worker.
    write(folder, identity, bound).catch(() => undefined);
  }, DELAY_MS).unref();
}

/** Each worker writes a file of its own, so that hundreds of them need no lock. */
async function write(folder: string, identity: WorkerIdentity, bound: BoundAddress): Promise<void> {
  const { pid, instance_id, started_at } = identityFields(identity);
  const { workerId: worker_id, version } = identity;
  const path = join(folder, recordName({ pid, instance_id }));
  process.once('exit', () => {
    for (const file of [path, path + UNFINISHED]) remove(file);
  });
  const [life] = await Promise.all([ownLife(), makePrivateFolder(folder)]);
  const record: WorkerRecord = {
    pid,
    process: life,
    url: localUrl(bound),
    worker_id,
    instance_id,
    started_at,
    version,
  };
  // A reader never sees half a file: the rename is one step.
  await writeFile(path + UNFINISHED, `${JSON.stringify(record)}\n`, { mode: 0o600, flag: 'wx' });
  await rename(path + UNFINISHED, path);
}

/** The URL for a process of this machine: a worker on all addresses also listens on the loopback address. */
export function localUrl(bound: BoundAddress): string {
  const isV6 = bound.address.includes(':') && !bound.address.startsWith('::ffff:');
  const own = isEveryAddress(bound) ? (isV6 ? '::1' : '127.0.0.1') : bound.address;
  return `http://${own.includes(':') ? `[${own}]` : own}:${bound.port}`;
}

function remove(file: string): void {
  try {
    rmSync(file, { force: true });
  } catch {
    // The folder can no longer be written: `ps` removes the file later.
  }
}
