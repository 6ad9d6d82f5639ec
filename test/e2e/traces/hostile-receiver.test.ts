/** A worker whose receiver answers against the rules: its requests, its later spans and its end are as always. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { answerText, endless, type RawAnswer, RawReceiver, TAKE } from '../../support/raw-receiver.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

let receiver: RawReceiver;
let worker: TestWorker;
beforeAll(async () => {
  receiver = await RawReceiver.open();
  worker = await startWorker({
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_BSP_SCHEDULE_DELAY: '10',
      OTEL_EXPORTER_OTLP_TIMEOUT: '1000',
      OTEL_BSP_EXPORT_TIMEOUT: '2000',
    },
  });
});
afterAll(async () => {
  await worker.kill();
  await receiver.close();
});

/** Spans that were exported, and those that were not. */
async function counts(): Promise<[exported: number, dropped: number]> {
  const text = await (await worker.get('/metrics')).text();
  const sum = (kind: string): number =>
    [...text.matchAll(new RegExp(`^worker_trace_spans_${kind}_total(?:\\{.*\\})? (\\d+)$`, 'gm'))].reduce(
      (total, [, count]) => total + Number(count),
      0,
    );
  return [sum('exported'), sum('dropped')];
}

let number = 0;
/** Runs a request, and returns the number of its spans that were exported, and of those that were not. */
async function fates(answer: RawAnswer): Promise<[exported: number, dropped: number]> {
  receiver.answer = answer;
  const [exported, dropped] = await counts();
  number += 1;
  const events = await worker.execute({ job_id: `job-${number}`, prompt: 'The sea', max_tokens: 2 });
  expect(events.at(-1)?.data.type).toBe('end');
  const since = async (): Promise<[number, number]> => {
    const [taken, lost] = await counts();
    return [taken - exported, lost - dropped];
  };
  // The spans of a request: SERVER, queue, prefill, decode.
  await expect.poll(async () => (await since()).reduce((sum, one) => sum + one), { timeout: 60_000 }).toBe(4);
  return since();
}

const HEAD = 'HTTP/1.1 200 OK\r\n';
const say =
  (text: string): RawAnswer =>
  (socket) =>
    void socket.write(text);

test.each<[string, () => RawAnswer, 'taken' | 'lost']>([
  ['is silent', () => () => undefined, 'lost'],
  ['resets the connection', () => (socket) => socket.resetAndDestroy(), 'lost'],
  ['does not speak HTTP', () => say('220 mail.example ESMTP\r\n'), 'lost'],
  ['changes the protocol', () => say('HTTP/1.1 101 Go\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'), 'lost'],
  ['redirects to the worker', () => say(answerText('307 Go', '', `Location: ${worker.url}/shutdown`)), 'lost'],
  ['never ends its head', () => endless(HEAD, `X-Name: ${'x'.repeat(1000)}\r\n`, receiver), 'lost'],
  ['gives interim answers only', () => endless('', 'HTTP/1.1 103 Hint\r\n\r\n', receiver), 'lost'],
  [
    'never ends its body',
    () => endless(`${HEAD}Content-Length: 9007199254740991\r\n\r\n`, 'x'.repeat(4096), receiver),
    'taken',
  ],
  ['answers with broken JSON', () => say(answerText('200 OK', '{"partialSuccess":{"rejectedSpans":"1"')), 'taken'],
  ['rejects everything', () => say(answerText('200 OK', '{"partialSuccess":{"rejectedSpans":"9999"}}')), 'lost'],
])('a receiver that %s: the request ends, and the spans of the next one are exported', async (_, answer, fate) => {
  expect(await fates(answer())).toEqual(fate === 'taken' ? [4, 0] : [0, 4]);
  // The first request after it may find the connection broken, and is sent again.
  await fates(TAKE);
  expect(await fates(TAKE)).toEqual([4, 0]);
});

test('the reason of the receiver is one clean, short line of the log at the end of the worker', async () => {
  const errorMessage = `\\u001b[31mred\\n\\u2028${'long '.repeat(1000)}`;
  const body = `{"partialSuccess":{"rejectedSpans":"4","errorMessage":"${errorMessage}"}}`;
  expect(await fates(say(answerText('200 OK', body)))).toEqual([0, 4]);
  expect(await worker.stop()).toBe(0);
  const [first, last, ...more] = worker.lines.filter(({ event }) => event === 'traces.spans_dropped');
  expect(more).toEqual([]);
  expect(first).toBeDefined();
  expect(last?.['reason']).toMatch(/^the receiver refuses spans \([ -~�]*red[ -~…�]*$/);
  expect(String(last?.['reason']).length).toBeLessThan(300);
  expect(worker.foreign).toEqual([]);
});
