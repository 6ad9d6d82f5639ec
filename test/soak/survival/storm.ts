/**
 * Preemption storms: sixteen slots share memory for two of their outputs, while the engine is killed once.
 * Texts are right, and the cache never takes more memory than its budget.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from '../client.ts';
import type { Ledger } from '../ledger.ts';
import { expectRest } from '../life.ts';
import { Subject } from '../subject.ts';
import { execute } from './accepted.ts';
import { expectStop } from './engine-kills.ts';
import { judgeWhole, readingOf } from './reading.ts';
import { drawNumbers, drawTasks, type KnownTask, learn } from './tasks.ts';

const SLOTS = 16;
const CLIENTS = 24;
/** MiB: 1 024 tokens of the embedded model, two of its contexts. */
const BUDGET_MIB = 2;
const SIZES = { words: [2, 60], tokens: [120, 320] } as const;
/** Most tasks of each kind, and the requests per round of tasks. */
const ROUNDS = 4;
const REQUESTS_PER_ROUND = 40;
/** One request in this many is abandoned after a few events. */
const ABORT_EVERY = 12;
const SAMPLE_MS = 10;
const GAUGES = ['worker_kv_cache_bytes', 'worker_kv_cache_budget_bytes'] as const;

export interface StormResult {
  readonly requests: number;
  readonly preemptions: number;
  readonly evictions: number;
  /** Readings of the memory of the cache; 0 if the worker has no gauge for it. */
  readonly samples: number;
  /** The most memory of the cache, and its budget, in bytes. */
  readonly peak: number;
  readonly budget: number;
}

/** One storm of `requests` requests on a worker of its own. */
export async function storm(requests: number, seed: number, ledger: Ledger): Promise<StormResult> {
  const again = `storm, seed ${seed}`;
  const args = ['--slots', String(SLOTS), '--cache-memory', String(BUDGET_MIB), '--queue', '64', '--replay-ttl', '1'];
  const subject = await Subject.start(args);
  const client = new Client(subject.url);
  try {
    const rounds = Math.min(ROUNDS, Math.ceil(requests / REQUESTS_PER_ROUND));
    const known = await learn(client, '/execute', drawTasks(seed, rounds, SIZES));
    const { files } = subject;
    const state = { done: 0, over: false };
    const reading = readMemory(subject, () => state.over, again, ledger);
    const run = clientOf({ client, seed, requests, known, again, state }, ledger);
    const clients = Array.from({ length: CLIENTS }, run);
    await subject.until(() => state.done >= requests / 3, 'at the kill');
    process.kill(subject.enginePid, 'SIGKILL');
    ledger.injected('kills of the engine in a preemption storm (SIGKILL)');
    await Promise.all(clients);
    state.over = true;
    const memory = await reading;
    client.close();
    await expectRest(subject, { files, accepted: requests + known.length }, again, ledger);
    await expectStop(subject, again, ledger);
    const preemptions = subject.count('request.preempted');
    ledger.injected('preempted outputs', preemptions);
    return { requests, preemptions, evictions: subject.count('cache.evicted'), ...memory };
  } finally {
    client.close();
    await subject.kill();
  }
}

interface Storming {
  readonly client: Client;
  readonly seed: number;
  readonly requests: number;
  readonly known: readonly KnownTask[];
  readonly again: string;
  readonly state: { done: number };
}

/** A client that sends requests, one after the other, until there are enough. */
function clientOf(storming: Storming, ledger: Ledger): () => Promise<void> {
  const { client, seed, requests, known, again, state } = storming;
  const picks = drawNumbers(seed, requests, known.length);
  const lengths = drawNumbers(seed + 1, requests, 60);
  let next = 0;
  return async () => {
    while (next < requests) {
      const index = next++;
      const { task, alone } = known[picks[index] ?? 0] as KnownTask;
      const leaves = index % ABORT_EVERY === ABORT_EVERY - 1;
      const visit = { awayMs: 0, ...(leaves && { leaveAfter: 1 + (lengths[index] ?? 0) }) };
      const body = { ...task, job_id: `${seed}-${index}` };
      const went = await execute(client, { body, visit }, ledger);
      state.done += 1;
      if (went?.how !== 'left') judgeWhole(readingOf(went), alone, `${again}, request ${index}`, ledger);
      else {
        ledger.injected('subscribers that leave');
        ledger.ended('CANCELLED');
        const { text } = readingOf(went);
        ledger.expect('text', alone.text.startsWith(text), () => `${JSON.stringify(text)}; ${again}, request ${index}`);
      }
    }
  };
}

/** Reads the memory of the cache until the storm is over. */
async function readMemory(subject: Subject, isOver: () => boolean, again: string, ledger: Ledger) {
  const memory = { samples: 0, peak: 0, budget: 0 };
  while (!isOver()) {
    const figures = await subject.metrics();
    const [used, budget] = GAUGES.map((name) => figures.get(name));
    if (used !== undefined && budget !== undefined) {
      memory.samples += 1;
      memory.peak = Math.max(memory.peak, used);
      memory.budget = budget;
      ledger.expect('budget', used <= budget, () => `${used} of ${budget} bytes; ${again}`);
    }
    await sleep(SAMPLE_MS);
  }
  return memory;
}
