/** The headers `traceparent` and `tracestate` of strangers, in real requests with traces on. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { listenTo, open } from '../../support/raw.ts';
import { type ReceivedSpan, SpanReceiver } from '../../support/span-receiver.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';
const IDS = `${TRACE}-${PARENT}`;
const VALID = `00-${IDS}-01`;

let receiver: SpanReceiver;
let worker: TestWorker;
beforeAll(async () => {
  receiver = await SpanReceiver.open();
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_BSP_SCHEDULE_DELAY: '0' };
  worker = await startWorker({ env });
});
afterAll(async () => {
  await worker.kill();
  await receiver.close();
});

let number = 0;
/** Sends a request with these header lines, byte by byte as they are. Returns its SERVER span and the answer's head. */
async function spanOf(...lines: readonly string[]): Promise<{ span: ReceivedSpan; head: string }> {
  number += 1;
  const id = `request-${number}`;
  const body = JSON.stringify({ job_id: id, prompt: 'The sea', max_tokens: 1 });
  const { socket, heard, ended } = listenTo(await open(worker));
  const fixed = [
    `Host: ${new URL(worker.url).host}`,
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
    'Connection: close',
  ];
  socket.write(Buffer.from(['POST /execute HTTP/1.1', ...fixed, ...lines, '', body].join('\r\n'), 'latin1'));
  await ended;
  expect(heard()).toMatch(/^HTTP\/1\.1 200 /);
  const [span] = await receiver.trace(({ attributes }) => attributes['rbees.job_id'] === id);
  return { span: span as ReceivedSpan, head: heard().split('\r\n\r\n')[0] ?? '' };
}

test.each([
  ['a version that is not known', `cc-${IDS}-01`],
  ['a later version with more parts', `01-${IDS}-01-more-parts`],
  ['a later version with an empty part', `01-${IDS}-01-`],
  ['flags that are not known', `00-${IDS}-fd`],
])('%s: the caller is the parent', async (_, traceparent) => {
  const { span, head } = await spanOf(`traceparent: ${traceparent}`);
  expect(span).toMatchObject({ traceId: TRACE, parentSpanId: PARENT });
  // Of the flags, only "sampled" is passed on. The parent is a span of another process.
  expect(span.flags).toBe(0x301);
  expect(head).toContain(`traceparent: ${traceparent}`);
});

test.each([
  ['an empty header', ['traceparent: ']],
  ['a trace id of zeros', [`traceparent: 00-${'0'.repeat(32)}-${PARENT}-01`]],
  ['a parent id of zeros', [`traceparent: 00-${TRACE}-${'0'.repeat(16)}-01`]],
  ['upper case', [`traceparent: 00-${IDS.toUpperCase()}-01`]],
  ['version ff', [`traceparent: ff-${IDS}-01`]],
  ['version 00 with more parts', [`traceparent: ${VALID}-more`]],
  ['version 00 with a dash at the end', [`traceparent: ${VALID}-`]],
  ['a later version without a dash before its next part', [`traceparent: 01-${IDS}-01more`]],
  ['a later version with a long part', [`traceparent: 01-${IDS}-01-${'x'.repeat(5000)}`]],
  ['no flags', [`traceparent: 00-${IDS}`]],
  ['two headers', [`traceparent: ${VALID}`, `traceparent: ${VALID}`]],
  ['two values', [`traceparent: ${VALID}, ${VALID}`]],
  ['characters that no id has', [`traceparent: 00-${TRACE.replace('4', 'g')}-${PARENT}-01`]],
])('%s: the request begins a trace of its own, without the state of the other one', async (_, lines) => {
  const { span, head } = await spanOf(...lines, 'tracestate: a=b');
  expect(span.traceId).toMatch(/^(?!0{32})[0-9a-f]{32}$/);
  expect(span.traceId).not.toBe(TRACE);
  expect(span).not.toHaveProperty('parentSpanId');
  expect(span).not.toHaveProperty('traceState');
  expect(head).not.toMatch(/^traceparent/im);
});

const member = (index: number): string => `k${index}=v`;
const members = (count: number): string => Array.from({ length: count }, (_, index) => member(index)).join(',');

test.each<[string, readonly string[], string | undefined]>([
  ['several members', ['congo=t61 x,rojo@sys=00f;a'], 'congo=t61 x,rojo@sys=00f;a'],
  ['several headers', ['a=1', 'b=2'], 'a=1, b=2'],
  ['white space and empty members', ['a=1 ,\t b=2 ,,'], 'a=1 ,\t b=2 ,,'],
  ['32 members', [members(32)], members(32)],
  ['33 members', [members(33)], undefined],
  ['a value of 257 characters', [`a=${'x'.repeat(257)}`], undefined],
  ['511 characters', [`a=${'x'.repeat(252)},b=${'x'.repeat(254)}`], `a=${'x'.repeat(252)},b=${'x'.repeat(254)}`],
  ['513 characters', [`a=${'x'.repeat(255)},b=${'x'.repeat(253)}`], undefined],
  ['8 000 characters', ['a='.padEnd(8000, 'x')], undefined],
  ['an upper-case key', ['A=1'], undefined],
  ['no key', ['=1'], undefined],
  ['no value', ['a='], undefined],
  ['no member', ['hello'], undefined],
  ['bytes above ASCII', ['a=\u00ff'], undefined],
  ['an empty header', [''], undefined],
])('tracestate with %s', async (_, states, expected) => {
  const { span } = await spanOf(`traceparent: ${VALID}`, ...states.map((state) => `tracestate: ${state}`));
  expect(span).toMatchObject({ traceId: TRACE, parentSpanId: PARENT });
  expect(span.traceState).toBe(expected);
});
