/**
 * Kills an engine under sixteen streams. All of them must go on and end with their text. Measures their silence,
 * and when a new request succeeds.
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
  /** Longest time between two events of one of the sixteen streams, in milliseconds. */
  readonly silenceMs: number;
  /** Milliseconds from the kill until the next engine is open. */
  readonly restartMs: number;
  /** Milliseconds from the kill until a repeated request has its `end`. */
  readonly recoveredMs: number;
  readonly exitCode: number | null;
}

/** One kill on a worker of its own. */
export async function killOnce(round: number, ledger: Ledger): Promise<KillResult> {
  // One slot is free for the new request.
  const subject = await Subject.start(['--slots', String(STREAMS + 1)]);
  try {
    const client = new Client(subject.url);
    const alone = await run(client, { ...LONG, job_id: `${round}-alone` });
    await subject.until(() => subject.count('inference.complete') === 1, 'idle');
    const streams = Array.from({ length: STREAMS }, (_, index) =>
      run(client, { ...LONG, job_id: `${round}-kill-${index}` }),
    );
    // Every stream has a slot and some tokens.
    await subject.until(() => subject.count('cache.reset') > STREAMS, 'busy');
    const progress = subject.count('tokens.progress');
    await subject.until(() => subject.count('tokens.progress') >= progress + STREAMS, 'decoding all streams');
    const killed = performance.now();
    process.kill(subject.enginePid, 'SIGKILL');
    ledger.injected('kills of the engine (SIGKILL)');
    const restarted = subject
      .until(() => subject.count('engine.restarted') > 0, 'restarted')
      .then(() => performance.now() - killed);
    const recovered = firstSuccess(client, round);
    const ends = await Promise.all(streams);
    const whole = ends.filter(({ last, text }) => last['type'] === 'end' && text === alone.text).length;
    ledger.expect('text', whole === STREAMS, () => `${whole} of ${STREAMS} streams survived a kill of the engine`);
    const [restartMs, recoveredMs] = [await restarted, (await recovered) - killed];
    client.close();
    const exitCode = await subject.stop();
    ledger.expect('stops', exitCode === 0, () => `exit code ${exitCode} after a kill of the engine`);
    return { silenceMs: Math.max(...ends.map(({ silenceMs }) => silenceMs)), restartMs, recoveredMs, exitCode };
  } finally {
    await subject.kill();
  }
}

interface Ran {
  /** The last event, or an empty one if the job was refused. */
  readonly last: Readonly<Record<string, unknown>>;
  readonly text: string;
  readonly silenceMs: number;
}

async function run(client: Client, body: object): Promise<Ran> {
  let [at, silenceMs] = [performance.now(), 0];
  const onEvents = (): void => {
    const now = performance.now();
    silenceMs = Math.max(silenceMs, now - at);
    at = now;
  };
  const went = await client.call({ method: 'POST', path: '/execute', body, onEvents });
  const events = (went?.messages ?? [NO_MESSAGE]).map((message) => eventOf(message).data);
  const text = events.map(({ type, t }) => (type === 'token' ? String(t) : '')).join('');
  return { last: events.at(-1) ?? {}, text, silenceMs };
}

/** Repeats a request until it succeeds. Returns the time. */
async function firstSuccess(client: Client, round: number): Promise<number> {
  for (let attempt = 0; ; attempt += 1) {
    const { last } = await run(client, { ...SHORT, job_id: `${round}-again-${attempt}` });
    if (last['type'] === 'end') return performance.now();
    await sleep(10);
  }
}
