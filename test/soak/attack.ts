/** Thousands of malformed requests on one worker: its answers, its health and its memory. */
import { PRIVATE } from './dialects/draw.ts';
import { faultIn } from './dialects/judge.ts';
import type { Ledger } from './ledger.ts';
import { raise } from './ledger.ts';
import { slopeOf } from './load.ts';
import { drawMalformed, isShaped, LONG_TEXT, type Malformed, send, statusesOf } from './malformed.ts';
import { Subject } from './subject.ts';

const AT_ONCE = 16;
const BATCH = 500;
/**
 * A short timeout for bytes that never become a complete request. The logs of finished jobs are dropped soon: in
 * the heap they would look like a leak.
 */
const ARGS = ['--arrival-timeout', '2', '--queue', '128', '--replay-ttl', '1'];

export interface AttackResult {
  readonly requests: number;
  /** Number of answers of each status; `none` without an answer. */
  readonly statuses: ReadonlyMap<string, number>;
  /** Heap of the worker after each batch and garbage collection, bytes. */
  readonly memory: readonly number[];
  /** Slope of a straight line through their last half, bytes per request. */
  readonly slope: number;
}

/** Sends `count` requests drawn from `seed` and checks every answer. */
export async function attack(count: number, seed: number, ledger: Ledger): Promise<AttackResult> {
  const subject = await Subject.start(ARGS);
  subject.secret = PRIVATE;
  const statuses = new Map<string, number>();
  const memory: number[] = [];
  try {
    await send(subject.url, LONG_TEXT);
    const { files } = subject;
    for (let sent = 0; sent < count; sent += BATCH) {
      const batch = drawMalformed(seed + sent, Math.min(BATCH, count - sent));
      await eachOf(batch, async (request) => {
        const answer = await send(subject.url, request);
        const all = statusesOf(answer);
        for (const status of all.length > 0 ? all : ['none']) raise(statuses, String(status));
        const again = (): string =>
          `${JSON.stringify(request).slice(0, 1500)} (seed ${seed + sent}) got ${answer.slice(0, 400)}`;
        // The connection answers a request that arrives too late, in the native form: it has no route yet.
        const isLate = all.join() === '408';
        if (request.dialect === undefined || isLate)
          ledger.expect('answer', all.every((status) => status < 500) && isShaped(answer), again);
        else {
          const fault = faultIn(request.dialect, answer);
          ledger.expect('dialect', fault === undefined, () => `${fault}: ${again()}`);
        }
        ledger.injected(`malformed requests: ${request.kind}`);
      });
      memory.push((await subject.collect()).heap);
    }
    await subject.until(() => subject.files <= files, 'without extra connections');
    const { status, slots } = await subject.health();
    ledger.expect(
      'lives',
      status === 'healthy' && subject.count('worker.startup') === 1,
      () => `health says ${status}`,
    );
    ledger.expect('idle', (slots as { busy: number }).busy === 0, () => JSON.stringify(slots));
    const restarts = subject.count('engine.restarted');
    ledger.expect('lives', restarts === 0, () => `${restarts} restarts of the engine`);
    const code = await subject.stop();
    const { blamed, stderr } = subject;
    ledger.expect('stops', code === 0, () => `exit code ${code} after malformed requests, seed ${seed}`);
    ledger.expect('blameless', blamed.length === 0 && stderr === '', () => `${blamed.slice(0, 3).join('\n')}${stderr}`);
  } finally {
    await subject.kill();
  }
  return { requests: count, statuses, memory, slope: slopeOf(memory.slice(memory.length / 2)) / BATCH };
}

async function eachOf(batch: readonly Malformed[], act: (request: Malformed) => Promise<void>): Promise<void> {
  let next = 0;
  const run = async (): Promise<void> => {
    for (let one = batch[next++]; one; one = batch[next++]) await act(one);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, run));
}
