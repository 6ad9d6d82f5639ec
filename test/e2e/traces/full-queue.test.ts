/** The queue of spans is full: spans are lost, requests are not, and a flood of refusals pushes no job out. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { answerText, RawReceiver } from '../../support/raw-receiver.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

let receiver: RawReceiver;
let worker: TestWorker;
/** Lets the receiver answer the request that it holds, and all later ones. */
let release: () => void;
beforeEach(async () => {
  receiver = await RawReceiver.open();
  let isReleased = false;
  const held: (() => void)[] = [];
  receiver.answer = (socket) => {
    const take = (): void => void socket.write(answerText('200 OK', '{}'));
    if (isReleased) take();
    else held.push(take);
  };
  release = () => {
    isReleased = true;
    for (const take of held) take();
  };
});
afterEach(async () => {
  await worker.kill();
  await receiver.close();
});

const start = (queueSize: number) =>
  startWorker({
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_BSP_SCHEDULE_DELAY: '0',
      OTEL_BSP_MAX_QUEUE_SIZE: String(queueSize),
      OTEL_EXPORTER_OTLP_TIMEOUT: '0',
      OTEL_BSP_EXPORT_TIMEOUT: '0',
    },
  });

const run = async (id: string): Promise<void> => {
  const events = await worker.execute({ job_id: id, prompt: 'The sea', max_tokens: 2 });
  expect(events.at(-1)?.data.type).toBe('end');
};
async function counts(): Promise<Record<string, number>> {
  const text = await (await worker.get('/metrics')).text();
  const found = text.matchAll(/^worker_trace_spans_(exported|dropped)_total(?:\{reason="(\w+)"\})? (\d+)$/gm);
  return Object.fromEntries([...found].map(([, kind, reason, count]) => [reason ?? kind, Number(count)]));
}

test('spans beyond the queue are counted and narrated once; all requests end, and the rest is exported', async () => {
  worker = await start(8);
  for (let index = 0; index < 10; index += 1) await run(`job-${index}`);
  // Each request has four spans: one request is in flight, and eight spans wait.
  await expect.poll(async () => (await counts())['queue_full']).toBeGreaterThanOrEqual(40 - 8 - 8);
  const { queue_full: lost = 0, exported } = await counts();
  expect(exported).toBe(0);
  release();
  await expect.poll(counts).toMatchObject({ exported: 40 - lost, queue_full: lost, export_failed: 0, rejected: 0 });
  await run('after');
  await expect.poll(async () => (await counts())['exported']).toBe(44 - lost);
  const reports = worker.lines.filter(({ event }) => event === 'traces.spans_dropped');
  expect(reports).toMatchObject([{ level: 'WARN', reason: 'the queue of spans is full' }]);
  expect(await worker.stop()).toBe(0);
  const all = worker.lines.filter(({ event }) => event === 'traces.spans_dropped');
  expect(all.reduce((sum, line) => sum + Number(line['spans_dropped']), 0)).toBe(lost);
});

test('a flood of refused requests fills half of the queue, and no span of a job is lost', async () => {
  worker = await start(20);
  await run('first');
  await expect.poll(() => receiver.requests).toBe(1);
  for (let index = 0; index < 40; index += 1)
    expect((await worker.post('/execute', { job_id: `refused-${index}` })).status).toBe(400);
  await expect.poll(async () => (await counts())['queue_full']).toBeGreaterThanOrEqual(40 - 10);
  const { queue_full: lost = 0 } = await counts();
  await run('second');
  await run('third');
  release();
  await expect.poll(counts).toMatchObject({ exported: 4 + 40 - lost + 8, queue_full: lost });
});
