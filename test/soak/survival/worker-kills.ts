/**
 * Kills of workers behind the example orchestrator. Its pool-manager starts two workers, and the next one
 * after each kill. Sixteen users read without a pause; each of them reads one uninterrupted right text.
 */

import { Manager, Orchestrator } from '../../support/fleet.ts';
import { Client } from '../client.ts';
import type { Ledger } from '../ledger.ts';
import { judgeWhole, readingOf } from './reading.ts';
import { drawNumbers, drawTasks, type KnownTask, learn } from './tasks.ts';

export const WORKER_KILLS = 'kills of a worker behind the orchestrator (SIGKILL)';
const WORKERS = 2;
const USERS = 16;
const PATH = '/tasks';
const SIZES = { words: [2, 40], tokens: [150, 400] } as const;
/** Most tasks of each kind. */
const ROUNDS = 4;
/** From one kill to the next, in events of all users together: at least about thirty for each user. */
const LEAST_EVENTS = 500;
const MOST_EVENTS = 4000;

export interface WorkerKillsResult {
  readonly kills: number;
  readonly requests: number;
  /** Outputs that went on on the other worker. */
  readonly continued: number;
}

export async function killWorkers(kills: number, seed: number, ledger: Ledger): Promise<WorkerKillsResult> {
  if (kills === 0) return { kills, requests: 0, continued: 0 };
  const manager = await Manager.start(WORKERS, ['--slots', String(USERS)]);
  const orchestrator = await Orchestrator.start(manager.url);
  const client = new Client(orchestrator.url);
  try {
    const known = await learn(client, PATH, drawTasks(seed, Math.min(ROUNDS, kills), SIZES));
    const state = { events: 0, over: false, requests: 0 };
    const users = Array.from({ length: USERS }, userOf({ client, seed, known, state }, ledger));
    await Promise.race([Promise.all(users), killAll({ manager, seed, kills, state }, ledger)]);
    state.over = true;
    await Promise.all(users);
    const { continued, failed } = await orchestrator.counts();
    ledger.expect('survives', failed === 0, () => `the orchestrator ended ${failed} tasks; worker kills, seed ${seed}`);
    return { kills, requests: state.requests, continued };
  } finally {
    client.close();
    await orchestrator.stop('SIGKILL');
    await manager.stopAll();
  }
}

interface State {
  /** Events that all users have received. */
  events: number;
  over: boolean;
  requests: number;
}

interface Users {
  readonly client: Client;
  readonly seed: number;
  readonly known: readonly KnownTask[];
  readonly state: State;
}

/** A user that sends tasks, one after the other, until all kills are done. */
function userOf({ client, seed, known, state }: Users, ledger: Ledger): () => Promise<void> {
  const picks = drawNumbers(seed, 1000, known.length);
  const onEvents = (): void => {
    state.events += 1;
  };
  return async () => {
    while (!state.over) {
      const index = state.requests++;
      const { task, alone } = known[picks[index % picks.length] ?? 0] as KnownTask;
      const went = await client.call({ method: 'POST', path: PATH, body: task, onEvents });
      judgeWhole(readingOf(went), alone, `worker kills, seed ${seed}, request ${index}`, ledger);
    }
  };
}

interface Killing {
  readonly manager: Manager;
  readonly seed: number;
  readonly kills: number;
  readonly state: State;
}

/** Kills one of the workers whenever both are ready and the users have received some events. */
async function killAll({ manager, seed, kills, state }: Killing, ledger: Ledger): Promise<void> {
  const victims = drawNumbers(seed + 1, kills, WORKERS);
  for (const [index, wait] of drawNumbers(seed + 2, kills, MOST_EVENTS - LEAST_EVENTS).entries()) {
    const from = state.events;
    while (state.events < from + LEAST_EVENTS + wait) await manager.untilReady(WORKERS);
    const victim = (await manager.endpoints())[victims[index] ?? 0];
    if (!victim) throw new Error('The pool-manager lost a worker that nobody has killed.');
    process.kill(victim.pid, 'SIGKILL');
    ledger.injected(WORKER_KILLS);
    await manager.line('manager.worker_exited', (line) => line['worker_id'] === victim.worker_id);
    await manager.untilReady(WORKERS, [victim]);
  }
}
