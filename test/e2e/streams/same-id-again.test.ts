/** A client whose connection broke sends the same job again, with the same id. */
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Listener, lastOf, longJob } from '../../support/listener.ts';
import { requestOf } from '../../support/raw.ts';
import { eventsOf, type StreamEvent, startWorker, type TestWorker } from '../../support/worker.ts';

let worker: TestWorker;
beforeAll(async () => {
  worker = await startWorker({ args: ['--slots', '1'] });
});
afterAll(() => worker.kill());

interface Refusal {
  readonly error: { readonly code: string; readonly retriable: boolean; readonly details: { retry_after_ms: number } };
}

/** Sends a job until its stream begins, and waits as each refusal says. Returns the events and the refusals. */
async function persistently(body: object): Promise<{ events: StreamEvent[]; refusals: Refusal[] }> {
  const refusals: Refusal[] = [];
  for (;;) {
    const response = await worker.post('/execute', body);
    if (response.status === 200) {
      const events: StreamEvent[] = [];
      for await (const event of eventsOf(response)) events.push(event);
      return { events, refusals };
    }
    expect(response.status).toBe(409);
    const refusal = (await response.json()) as Refusal;
    expect(Number(response.headers.get('retry-after'))).toBe(Math.ceil(refusal.error.details.retry_after_ms / 1000));
    refusals.push(refusal);
    await sleep(refusal.error.details.retry_after_ms);
  }
}

/** Begins a job on a bare connection. Resolves with a function that breaks the connection. */
function begin(body: object): Promise<() => void> {
  const { hostname, port } = new URL(worker.url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    socket.write(requestOf('POST', '/execute', JSON.stringify(body)));
    let heard = '';
    socket.setEncoding('utf8').on('data', (text: string) => {
      heard += text;
      if (heard.includes('event: token')) resolve(() => socket.resetAndDestroy());
    });
  });
}

test.each(['cancel', 'continue'])(
  'gets its stream if it waits as told, with on_disconnect %s',
  async (onDisconnect) => {
    const body = longJob(`again-${onDisconnect}`, { on_disconnect: onDisconnect });
    const leave = await begin(body);
    leave();
    const { events, refusals } = await persistently(body);
    expect(lastOf(events)).toMatchObject({ type: 'end', tokens_out: 480 });
    for (const { error } of refusals) expect(error).toMatchObject({ code: 'DUPLICATE_JOB', retriable: true });
  },
);

test('gets its stream at once if the job is already being stopped', async () => {
  const body = longJob('seen');
  const stream = await Listener.open(worker, body, { 'X-Correlation-Id': 'req-seen' });
  await stream.untilToken();
  expect((await worker.post('/cancel', { job_id: 'seen' })).status).toBe(202);
  const { events, refusals } = await persistently(body);
  expect(lastOf(events).type).toBe('end');
  // On a machine under load the engine may take longer than the new job waits.
  for (const { error } of refusals) expect(error.details.retry_after_ms).toBe(100);
});
