/**
 * Requests that were interrupted by the loss of the engine, while the next engine does not start yet: cancels,
 * deadlines, drains, and readers that leave or lag.
 */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { canBeNarrow } from '../../../bench/narrow-socket.mjs';
import { enginePid } from '../../support/cli.ts';
import { Halt } from '../../support/halt.ts';
import { endings, Listener, lastOf, longJob, narrated } from '../../support/listener.ts';
import { events, of, post, read } from '../../support/narrow.ts';
import { expectWhole, undisturbed } from '../../support/survivors.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

let worker: TestWorker;
let halt: Halt;
beforeEach(() => {
  halt = new Halt();
});
afterEach(async () => {
  await worker.kill();
  halt.remove();
});

const idle = (): Promise<void> =>
  expect
    .poll(async () => (await worker.get('/health')).json(), { timeout: 30_000 })
    .toMatchObject({ status: 'healthy', slots: { busy: 0 }, queue: { length: 0 } });

/** Kills the engine. The next one waits at its start until `halt.disarm`. */
function loseEngine(): void {
  halt.arm();
  process.kill(enginePid(worker), 'SIGKILL');
}

/** Streams of these jobs, which are interrupted when this resolves. */
async function interrupted(jobs: readonly object[], ...args: string[]): Promise<Listener[]> {
  worker = await startWorker({ args: ['--slots', '4', ...args], env: halt.env });
  const streams = await Promise.all(jobs.map((job, index) => Listener.open(worker, longJob(`job-${index}`, job))));
  await Promise.all(streams.map((stream) => stream.untilToken(3)));
  loseEngine();
  await Promise.all(streams.map((stream) => stream.untilNarrated('request.interrupted')));
  return streams;
}

async function expectError(stream: Listener | undefined, code: string): Promise<void> {
  const all = (await stream?.ended) ?? [];
  expect(endings(all)).toEqual([all.at(-1)]);
  expect(lastOf(all)).toMatchObject({ type: 'error', code });
  expect(narrated(all)).not.toContain('request.resumed');
}

test('a cancel, a deadline and a client that leaves end their requests at once; the others go on', async () => {
  const [cancelled, late, left, patient] = await interrupted([{}, { timeout_ms: 5000 }, {}, { seed: 9 }]);
  expect((await worker.post('/cancel', { job_id: 'job-0' })).status).toBe(202);
  await expectError(cancelled, 'CANCELLED');
  left?.leave();
  await worker.line('reader.left', (line) => line['job_id'] === 'job-2');
  await expectError(late, 'TIMEOUT');
  expect(worker.lines.map(({ event }) => event)).not.toContain('engine.restarted');
  expect(worker.lines.map(({ event }) => event)).not.toContain('cancel.unconfirmed');
  halt.disarm();
  expect(lastOf((await patient?.ended) ?? [])).toMatchObject({ type: 'end', tokens_out: 480 });
  const [text = ''] = await undisturbed(worker, [9]);
  if (patient) await expectWhole(patient, text);
  await idle();
  expect(await worker.stop()).toBe(0);
});

test('a job that continues without a reader ends after --detach-timeout', async () => {
  const [stream] = await interrupted([{ on_disconnect: 'continue' }], '--detach-timeout', '1');
  stream?.leave();
  const failed = await worker.line('inference.failed');
  expect(failed).toMatchObject({ job_id: 'job-0' });
  expect(worker.lines.map(({ event }) => event)).not.toContain('engine.restarted');
  halt.disarm();
  await idle();
});

test('a drain that runs out of time ends them with DRAINING', async () => {
  const [stream] = await interrupted([{}], '--shutdown-timeout', '4');
  worker.process.kill('SIGTERM');
  await stream?.untilNarrated('request.draining');
  await expectError(stream, 'DRAINING');
  expect(await worker.exited).toEqual({ code: 0, signal: null });
});

test('a drain waits for them if the next engine is ready in time', async () => {
  const [stream] = await interrupted([{}], '--shutdown-timeout', '120');
  worker.process.kill('SIGTERM');
  await stream?.untilNarrated('request.draining');
  halt.disarm();
  expect(lastOf((await stream?.ended) ?? [])).toMatchObject({ type: 'end', tokens_out: 480 });
  expect(stream?.told).toContain('request.resumed');
  expect(await worker.exited).toEqual({ code: 0, signal: null });
});

test.skipIf(!canBeNarrow)('a reader that lags stays paused in the next engine, and reads the right text', async () => {
  worker = await startWorker({ args: ['--slots', '2', '--slow-timeout', '600'], env: halt.env });
  const whole = await Listener.open(worker, longJob('whole', { logprobs: 20 }));
  await whole.ended;
  const socket = post(worker, 'naps');
  await worker.line('generation.paused', of('naps'));
  loseEngine();
  await worker.line('request.interrupted', of('naps'));
  halt.disarm();
  await worker.line('engine.restarted');
  // The next engine serves others, and no token of this job.
  const beside = await Listener.open(worker, longJob('beside'));
  expect(lastOf(await beside.ended)).toMatchObject({ type: 'end' });
  const lines = worker.lines.filter(of('naps')).map(({ event }) => event);
  for (const later of ['request.resumed', 'generation.resumed']) expect(lines).not.toContain(later);
  const told = events(await read(socket));
  const tokens = told.filter(({ type }) => type === 'token');
  expect(tokens.map(({ i }) => i)).toEqual(tokens.map((_, index) => index));
  expect(tokens.map(({ t }) => t).join('')).toBe(whole.text);
  expect(told.at(-1)).toMatchObject({ type: 'end', tokens_out: 480 });
  expect((await worker.told('req-naps')).map(({ event }) => event)).toContain('request.resumed');
});
