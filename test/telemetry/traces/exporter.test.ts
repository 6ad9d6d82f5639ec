/** The exporter against a real receiver that is slow, refuses, or is not there. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type DropReason, Exporter, type ExporterOptions } from '../../../src/telemetry/traces/exporter.ts';
import { requestWriter, SPAN_KINDS, STATUS_CODES, spanText } from '../../../src/telemetry/traces/span.ts';
import { SpanReceiver } from '../../support/span-receiver.ts';

let receiver: SpanReceiver;
let exporter: Exporter;
const exported: number[] = [];
const dropped: [spans: number, reason: DropReason, cause: string][] = [];

beforeEach(async () => {
  receiver = await SpanReceiver.open();
  exported.length = 0;
  dropped.length = 0;
});
afterEach(async () => {
  await exporter.close(0);
  await receiver.close();
});

type Given = Partial<Pick<ExporterOptions, 'timeoutMs'>> &
  Partial<ExporterOptions['batch']> & { readonly url?: string; readonly compression?: 'gzip' };

function open({ url = receiver.url, timeoutMs = 60_000, compression, ...batch }: Given = {}): void {
  exporter = new Exporter({
    receiver: { url: new URL(`${url}/v1/traces`), headers: { 'x-key': 'k' }, compression: compression ?? 'none' },
    timeoutMs,
    batch: { delayMs: 5, queueSize: 100, batchSize: 10, exportTimeoutMs: 60_000, ...batch },
    bodyOf: requestWriter({}, { name: 'test', version: '1', schemaUrl: '' }),
    onExported: (spans) => exported.push(spans),
    onDropped: (...loss) => dropped.push(loss),
  });
}

const spanNamed = (name: string): string =>
  spanText({
    context: { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), traceFlags: 1 },
    name,
    kind: SPAN_KINDS.server,
    start: 1n,
    end: 2n,
    attributes: {},
    droppedAttributes: 0,
    events: [],
    droppedEvents: 0,
    status: { code: STATUS_CODES.unset },
  });

function add(count: number): void {
  for (let index = 0; index < count; index += 1) exporter.add(spanNamed(`span-${index}`));
}
const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);
const lost = (): number => sum(dropped.map(([spans]) => spans));

test('spans go in batches and in their order, one request at a time, with the headers', async () => {
  open();
  add(35);
  await expect.poll(() => sum(exported)).toBe(35);
  expect(receiver.spans.map(({ name }) => name)).toEqual(Array.from({ length: 35 }, (_, index) => `span-${index}`));
  expect(Math.max(...exported)).toBe(10);
  expect(receiver.requests[0]).toMatchObject({
    path: '/v1/traces',
    headers: { 'x-key': 'k', 'content-type': 'application/json' },
  });
  expect(dropped).toEqual([]);
});

test('gzip', async () => {
  open({ compression: 'gzip' });
  add(3);
  await expect.poll(() => sum(exported)).toBe(3);
  expect(receiver.requests[0]?.headers['content-encoding']).toBe('gzip');
});

test('a batch is sent again after 503, not before Retry-After is over', async () => {
  open();
  receiver.replies.push({ status: 503, headers: { 'Retry-After': '1' } });
  add(1);
  await expect.poll(() => sum(exported)).toBe(1);
  const [first, second] = receiver.requests;
  expect(receiver.requests).toHaveLength(2);
  expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThan(990);
  expect(dropped).toEqual([]);
});

test('a Retry-After beyond the time of the batch costs the batch, and the next one waits for it', async () => {
  open({ exportTimeoutMs: 200, batchSize: 1 });
  receiver.replies.push({ status: 429, headers: { 'Retry-After': '1' } });
  add(2);
  await expect.poll(() => sum(exported)).toBe(1);
  expect(dropped).toEqual([[1, 'export_failed', 'HTTP status 429']]);
  const [first, second] = receiver.requests;
  expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThan(990);
});

test('a batch that the receiver refuses for good is dropped at once', async () => {
  open();
  receiver.reply = { status: 400 };
  add(2);
  await expect.poll(lost).toBe(2);
  expect(receiver.requests).toHaveLength(1);
  expect(dropped).toEqual([[2, 'export_failed', 'HTTP status 400']]);
});

test('spans that the receiver rejects are counted', async () => {
  open();
  receiver.reply = { status: 200, body: '{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old"}}' };
  add(5);
  await expect.poll(() => sum(exported)).toBe(3);
  expect(dropped).toEqual([[2, 'rejected', 'the receiver refuses spans (too old)']]);
});

test('a receiver that is not there costs the batch after its time, and a full queue costs the newest spans', async () => {
  const { url } = receiver;
  await receiver.close();
  open({ url, queueSize: 8, batchSize: 4, exportTimeoutMs: 100 });
  add(20);
  // The first batch has left the queue or not: 8 to 12 spans have a place.
  const full = dropped.filter(([, reason]) => reason === 'queue_full').length;
  expect(full).toBeGreaterThanOrEqual(8);
  await expect.poll(lost).toBe(20);
  expect(dropped.at(-1)).toEqual([expect.any(Number), 'export_failed', 'ECONNREFUSED']);
  receiver = await SpanReceiver.open();
});

test('an answer that does not come in time counts as a failure', async () => {
  open({ timeoutMs: 50, exportTimeoutMs: 50 });
  receiver.reply = 'hang';
  add(1);
  await expect.poll(lost).toBe(1);
  expect(dropped).toEqual([[1, 'export_failed', 'no answer within 50 ms']]);
});

test('close exports the rest', async () => {
  open({ delayMs: 600_000 });
  add(7);
  await exporter.close(60_000);
  expect(exported).toEqual([7]);
  expect(receiver.spans).toHaveLength(7);
});

test('close does not wait for a receiver that hangs; all spans are counted, and later ones too', async () => {
  open({ batchSize: 2, delayMs: 600_000 });
  receiver.reply = 'hang';
  add(7);
  await receiver.until(() => receiver.requests.length > 0);
  const begun = performance.now();
  await exporter.close(100);
  expect(performance.now() - begun).toBeLessThan(30_000);
  add(1);
  expect(lost()).toBe(8);
  expect(new Set(dropped.map(([, reason]) => reason))).toEqual(new Set(['shutdown']));
});

test('close does not wait for the next attempt', async () => {
  open({ exportTimeoutMs: 600_000 });
  receiver.replies.push({ status: 503, headers: { 'Retry-After': '300' } });
  add(1);
  await receiver.until(() => receiver.requests.length > 0);
  // After two round trips in the same process, the exporter has read its answer, and waits.
  for (let trips = 0; trips < 2; trips += 1)
    await (await fetch(receiver.url, { method: 'POST', body: '{"resourceSpans":[]}' })).text();
  const begun = performance.now();
  await exporter.close(60_000);
  // Far below the 300 s of the wait, also on a machine with much load.
  expect(performance.now() - begun).toBeLessThan(60_000);
  expect(sum(exported) + lost()).toBe(1);
});
