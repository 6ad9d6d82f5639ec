/** The workers that a command asks: those of `--url`, otherwise all workers of this user on this machine. */
import { ConfigError } from '../../config/config.ts';
import { workersFolder } from '../../config/paths.ts';
import { registeredWorkers } from '../../lifecycle/local/registered-workers.ts';
import { messageOf } from '../../protocol/text/error-message.ts';
import { Terminal } from '../terminal.ts';
import { askWorker, type WorkerAddress } from './ask-worker.ts';
import type { WorkerSelection } from './command-line.ts';
import type { WorkerRow } from './worker-row.ts';

/** A worker, and how it is called. */
export interface FoundWorker {
  readonly address: WorkerAddress;
  readonly row: WorkerRow;
}

/** Finds the workers, and asks all of them at the same time. */
export async function findWorkers(selection: WorkerSelection): Promise<FoundWorker[]> {
  const addresses = await workerAddresses(selection);
  const found = await Promise.all(addresses.map(async (address) => ({ address, row: await askWorker(address) })));
  return found.flatMap(({ address, row }) => (row ? [{ address, row }] : []));
}

/** Their addresses. Sends no request. */
export async function workerAddresses({ urls, apiToken }: WorkerSelection): Promise<WorkerAddress[]> {
  if (urls.length > 0) return urls.map((url) => ({ url, apiToken }));
  const folder = workersFolder();
  try {
    if (folder === undefined) throw new Error('this system keeps no records of workers: give --url');
    const registered = await registeredWorkers(folder);
    return registered.map((worker) => ({ url: worker.record.url, registered: worker, apiToken }));
  } catch (error) {
    await Terminal.stderr().print(`The workers of this machine cannot be listed: ${messageOf(error)}\n`);
    return [];
  }
}

/** No worker answers. Exit code 1. */
export class NoWorkerError extends Error {
  override readonly name = 'NoWorkerError';
}

/**
 * The worker that a command uses.
 * @throws NoWorkerError if none answers; ConfigError that lists them if there are several
 */
export async function oneWorker(selection: WorkerSelection): Promise<FoundWorker> {
  const found = await findWorkers(selection);
  const [worker, ...others] = found.filter(({ row }) => row.model !== undefined || row.slots !== undefined);
  if (worker && others.length === 0) return worker;
  if (worker) {
    const list = [worker, ...others].map(({ row }) =>
      `  --url ${row.url}  ${row.worker_id} ${row.model ?? ''}`.trimEnd(),
    );
    throw new ConfigError(`Several workers run on this machine. Choose one:\n${list.join('\n')}`);
  }
  const [silent] = found;
  throw new NoWorkerError(
    silent
      ? `${silent.row.url}: ${silent.row.problem}`
      : 'No worker of this user runs on this machine: start one with "rbees-workerd serve", or give --url.',
  );
}
