/** A request that is repeated until the worker accepts it: while the engine is lost, new requests get 503. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Call, Client, Went } from '../client.ts';
import { codeOf } from '../judge.ts';
import type { Ledger } from '../ledger.ts';

const RETRY_MS = 20;
const REFUSAL = 'WORKER_UNHEALTHY';

/** Posts to `/execute`. Counts the refusals as requests. */
export async function execute(
  client: Client,
  call: Omit<Call, 'method' | 'path'>,
  ledger: Ledger,
): Promise<Went | undefined> {
  for (;;) {
    const went = await client.call({ method: 'POST', path: '/execute', ...call });
    if (went?.status !== 503 || codeOf(went) !== REFUSAL) return went;
    ledger.ended(`503 ${REFUSAL}`);
    await sleep(RETRY_MS);
  }
}
