/**
 * Kills an engine under sixteen streams. Measures the silence of the streams, and when a new request
 * succeeds. The streams go on with their right texts.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from './client.ts';
import type { Ledger } from './ledger.ts';
import { Subject } from './subject.ts';
import { judgeWhole, type Reading, readingOf } from './survival/reading.ts';

const STREAMS = 16;
/** A job as long as the context, and a short one. */
const LONG = { prompt: 'The sea', min_tokens: 480, max_tokens: 480, temperature: 1, seed: 1 };
const SHORT = { ...LONG, min_tokens: 4, max_tokens: 4 };

export interface KillResult {
  /** Longest of the sixteen silences, milliseconds without a token after the kill. */
  readonly silentMs: number;
  /** Milliseconds from the kill until a repeated request has its `end`. */
  readonly recoveredMs: number;
  readonly exitCode: number | null;
}

/** One kill on a worker of its own. */
export async function killOnce(round: number, ledger: Ledger): Promise<KillResult> {
  const again = `round ${round} of the timed kills`;
  const subject = await Subject.start(['--slots', String(STREAMS)]);
  const client = new Client(subject.url);
  try {
    const alone = await run(client, { ...LONG, job_id: `${round}-alone` });
    const watch = { killed: Number.POSITIVE_INFINITY, silentMs: 0 };
    const streams = Array.from({ length: STREAMS }, async (_, index) => {
      const onEvents = silenceOf(watch);
      const reading = await run(client, { ...LONG, job_id: `${round}-kill-${index}` }, onEvents);
      judgeWhole(reading, alone, `${again}, stream ${index}`, ledger);
    });
    // Every stream has a slot and some tokens.
    await subject.until(() => subject.count('cache.reset') > STREAMS, 'busy');
    const progress = subject.count('tokens.progress');
    await subject.until(() => subject.count('tokens.progress') >= progress + STREAMS, 'decoding all streams');
    process.kill(subject.enginePid, 'SIGKILL');
    watch.killed = performance.now();
    ledger.injected('kills of the engine (SIGKILL)');
    const recovered = firstSuccess(client, round);
    await Promise.all(streams);
    const recoveredMs = (await recovered) - watch.killed;
    client.close();
    const exitCode = await subject.stop();
    ledger.expect('stops', exitCode === 0, () => `exit code ${exitCode}; ${again}`);
    return { silentMs: watch.silentMs, recoveredMs, exitCode };
  } finally {
    client.close();
    await subject.kill();
  }
}

/** Notes the longest time without a token of a stream after the kill. */
function silenceOf(watch: {
  readonly killed: number;
  silentMs: number;
}): (_: number, event: string | undefined) => void {
  let before = 0;
  return (_, event) => {
    if (event !== 'token') return;
    const now = performance.now();
    if (now > watch.killed) watch.silentMs = Math.max(watch.silentMs, now - Math.max(before, watch.killed));
    before = now;
  };
}

async function run(
  client: Client,
  body: object,
  onEvents?: (count: number, event: string | undefined) => void,
): Promise<Reading> {
  return readingOf(await client.call({ method: 'POST', path: '/execute', body, ...(onEvents && { onEvents }) }));
}

/** Repeats a request until it succeeds. Returns the time. */
async function firstSuccess(client: Client, round: number): Promise<number> {
  for (let attempt = 0; ; attempt += 1) {
    const { last } = await run(client, { ...SHORT, job_id: `${round}-again-${attempt}` });
    if (last?.type === 'end') return performance.now();
    await sleep(10);
  }
}
