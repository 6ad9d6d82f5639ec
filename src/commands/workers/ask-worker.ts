/** Asks one worker for its state. A worker that does not answer is a row too. */
import { WorkerClient } from '../../client/client.ts';
import { ConnectionError, RefusedError } from '../../client/errors.ts';
import type { RegisteredWorker } from '../../lifecycle/local/registered-workers.ts';
import { messageOf } from '../../protocol/text/error-message.ts';
import { healthFacts, recordFacts, type WorkerRow, type WorkerStatus } from './worker-row.ts';

/** Milliseconds for one answer. On a machine with ten times its load, an answer took over two seconds. */
export const ANSWER_MS = 5000;

/** A worker to ask: of a record, or of `--url`. */
export interface WorkerAddress {
  readonly url: string;
  readonly registered?: RegisteredWorker | undefined;
  readonly apiToken: string | undefined;
}

/**
 * The client of a worker. It sends the token only to a URL that the user gave, and to a process that is the
 * one of the record: another program may listen at the address of an ended worker.
 */
export function clientOf({ url, registered, apiToken }: WorkerAddress): WorkerClient {
  return new WorkerClient({ url, apiToken: registered?.fate === 'unknown' ? undefined : apiToken });
}

/**
 * Asks for the state. Resolves after `ANSWER_MS` at the latest. Undefined: another worker is at the address.
 */
export async function askWorker(address: WorkerAddress): Promise<WorkerRow | undefined> {
  const { url, registered } = address;
  const known = registered ? recordFacts(registered.record) : {};
  const failed = (status: WorkerStatus, problem: string): WorkerRow => ({ ...known, url, status, problem });
  try {
    const facts = healthFacts(await clientOf(address).health(AbortSignal.timeout(ANSWER_MS)));
    if (!facts) return failed('not_a_worker', 'another program answers at this address');
    if (registered && facts.instance_id !== registered.record.instance_id) return undefined;
    return { url, ...facts };
  } catch (error) {
    if (error instanceof RefusedError && error.status === 401)
      return failed('needs_token', 'set RBEES_API_TOKEN to the token of this worker');
    if (error instanceof RefusedError) return failed('not_a_worker', error.message);
    if (error instanceof ConnectionError) return failed('no_answer', messageOf(error));
    if (error instanceof Error && error.name === 'TimeoutError')
      return failed('no_answer', `no answer within ${ANSWER_MS / 1000} s`);
    return failed('not_a_worker', `the answer is not JSON: ${messageOf(error)}`);
  }
}
