/**
 * Many thousand requests on one worker, a tenth of them abandoned half-way: growth of memory, open files,
 * remaining state.
 */
import { Client } from './client.ts';
import { judge } from './judge.ts';
import type { Ledger } from './ledger.ts';
import { expectRest } from './life.ts';
import { FIRST_BULKY, JOBS, type Plan } from './plans.ts';
import { Subject, type Usage } from './subject.ts';

const CLIENTS = 8;
/**
 * The load has this many parts. After each, all logs are dropped, garbage is collected and the memory is
 * measured.
 */
const PARTS = 20;
/** One request in this many is abandoned after a few events. */
const ABORT_EVERY = 10;

export interface LoadResult {
  readonly requests: number;
  readonly aborted: number;
  readonly seconds: number;
  readonly samples: readonly Usage[];
  /** Bytes per request, of a straight line through the last half of the samples. */
  readonly slope: { readonly heap: number; readonly worker: number; readonly engine: number };
}

/** Short jobs, in turn. The number of a request determines its job and the event at which it is abandoned. */
function planOf(index: number, seed: number): Plan {
  const aborted = index % ABORT_EVERY === ABORT_EVERY - 1;
  const job = (index + seed) % Math.min(3, FIRST_BULKY, JOBS.length);
  const leaveAfter = 1 + (((index / ABORT_EVERY + seed) % 6) | 0);
  return { job, onDisconnect: 'cancel', narrow: false, visits: [{ awayMs: 0, ...(aborted && { leaveAfter }) }] };
}

export async function load(
  requests: number,
  seed: number,
  texts: readonly string[],
  ledger: Ledger,
): Promise<LoadResult> {
  const subject = await Subject.start(['--slots', String(CLIENTS), '--replay-ttl', '1']);
  try {
    const client = new Client(subject.url);
    const { files } = subject;
    const samples: Usage[] = [await subject.collect()];
    const began = performance.now();
    let [next, accepted] = [0, 0];
    const circumstances = { killed: false, stopping: false, texts, again: `load, seed ${seed}` };
    const runUntil = async (end: number): Promise<void> => {
      while (next < end) {
        const index = next++;
        const account = await client.perform(planOf(index, seed), `${seed}-load-${index}`);
        judge(account, circumstances, ledger);
        if (account.visits[0]?.status === 200) accepted += 1;
        if (account.visits[0]?.how === 'left') ledger.injected('subscribers that leave');
      }
    };
    const noLogs = async (): Promise<boolean> => (await subject.metrics()).get('worker_event_log_bytes') === 0;
    for (let part = 1; part <= PARTS; part += 1) {
      const end = Math.floor((requests * part) / PARTS);
      await Promise.all(Array.from({ length: CLIENTS }, () => runUntil(end)));
      await subject.until(noLogs, 'without event logs');
      samples.push(await subject.collect());
    }
    const seconds = (performance.now() - began) / 1000;
    client.close();
    await expectRest(subject, { files, accepted }, circumstances.again, ledger);
    const code = await subject.stop();
    ledger.expect('stops', code === 0, () => `exit code ${code} after the load`);
    ledger.expect('blameless', subject.blamed.length === 0 && subject.stderr === '', () =>
      subject.blamed.slice(0, 3).join('\n'),
    );
    const each = requests / PARTS;
    const half = samples.slice(samples.length / 2);
    const grown = (name: 'heap' | 'worker' | 'engine'): number => slopeOf(half.map((usage) => usage[name])) / each;
    const slope = { heap: grown('heap'), worker: grown('worker'), engine: grown('engine') };
    return { requests, aborted: Math.floor(requests / ABORT_EVERY), seconds, samples, slope };
  } finally {
    await subject.kill();
  }
}

/** Slope of the least-squares line through values at 0, 1, 2… */
export function slopeOf(values: readonly number[]): number {
  const mean = (numbers: readonly number[]): number => numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
  const middle = (values.length - 1) / 2;
  const average = mean(values);
  const covariance = mean(values.map((value, index) => (index - middle) * (value - average)));
  return covariance / Math.max(1e-9, mean(values.map((_, index) => (index - middle) ** 2)));
}
