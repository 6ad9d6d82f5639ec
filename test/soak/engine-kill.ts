/**
 * Kills an engine under sixteen streams. Measures when all streams are closed, and when a new request
 * succeeds.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from './client.ts';
import { eventOf } from './judge.ts';
import type { Ledger } from './ledger.ts';
import { Subject } from './subject.ts';

/** Stands for the last message of a stream that had none. */
const NO_MESSAGE = { id: undefined, event: undefined, data: '' };
const STREAMS = 16;
/** A job as long as the context, and a short one. */
const LONG = { prompt: 'The sea', min_tokens: 480, max_tokens: 480, temperature: 1, seed: 1 };
const SHORT = { ...LONG, min_tokens: 4, max_tokens: 4 };

export interface KillResult {
  /** Milliseconds from the kill until the last of the sixteen streams was closed with its error. */
  readonly closedMs: number;
  /** Milliseconds from the kill until a repeated request has its `end`. */
  readonly recoveredMs: number;
  readonly exitCode: number | null;
}

/** One kill on a worker of its own. */
export async function killOnce(round: number, ledger: Ledger): Promise<KillResult> {
  const subject = await Subject.start(['--slots', String(STREAMS)]);
  try {
    const client = new Client(subject.url);
    const streams = Array.from({ length: STREAMS }, async (_, index) => {
      const last = await run(client, { ...LONG, job_id: `${round}-kill-${index}` });
      return { last, at: performance.now() };
    });
    // Every stream has a slot and some tokens.
    await subject.until(() => subject.count('cache.reset') >= STREAMS, 'busy');
    const progress = subject.count('tokens.progress');
    await subject.until(() => subject.count('tokens.progress') >= progress + STREAMS, 'decoding all streams');
    const killed = performance.now();
    process.kill(subject.enginePid, 'SIGKILL');
    ledger.injected('kills of the engine (SIGKILL)');
    const recovered = firstSuccess(client, round);
    const ends = await Promise.all(streams);
    const lost = ends.filter(({ last }) => last['code'] === 'ENGINE_LOST').length;
    ledger.expect('terminal', lost === STREAMS, () => `${lost} of ${STREAMS} streams got ENGINE_LOST`);
    const recoveredMs = (await recovered) - killed;
    client.close();
    const exitCode = await subject.stop();
    ledger.expect('stops', exitCode === 0, () => `exit code ${exitCode} after a kill of the engine`);
    return { closedMs: Math.max(...ends.map(({ at }) => at)) - killed, recoveredMs, exitCode };
  } finally {
    await subject.kill();
  }
}

/** The last event of a job, or an empty one if it was refused. */
async function run(client: Client, body: object): Promise<Readonly<Record<string, unknown>>> {
  const went = await client.call({ method: 'POST', path: '/execute', body });
  return eventOf(went?.messages.at(-1) ?? NO_MESSAGE).data;
}

/** Repeats a request until it succeeds. Returns the time. */
async function firstSuccess(client: Client, round: number): Promise<number> {
  for (let attempt = 0; ; attempt += 1) {
    const { type } = await run(client, { ...SHORT, job_id: `${round}-again-${attempt}` });
    if (type === 'end') return performance.now();
    await sleep(10);
  }
}
