/** The spans of real requests, as a receiver gets them. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { enginePid } from '../../support/cli.ts';
import { Halt } from '../../support/halt.ts';
import { Listener, longJob } from '../../support/listener.ts';
import { type ReceivedSpan, SpanReceiver } from '../../support/span-receiver.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

let receiver: SpanReceiver;
let worker: TestWorker;
let halt: Halt;
beforeAll(async () => {
  receiver = await SpanReceiver.open();
  halt = new Halt();
  worker = await startWorker({
    args: ['--slots', '2', '--queue', '1', '--api-token', 'span-test-token'],
    env: { ...halt.env, OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_BSP_SCHEDULE_DELAY: '20' },
  });
});
afterAll(async () => {
  await worker.kill();
  halt.remove();
  await receiver.close();
});

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';
const AUTH = { Authorization: 'Bearer span-test-token' };

/** The SERVER span of a request, then its children in the order of their ends. */
const treeOf = (correlationId: string): Promise<ReceivedSpan[]> =>
  receiver.trace(({ attributes }) => attributes['rbees.correlation_id'] === correlationId);
const headers = (correlationId: string, more: Record<string, string> = {}) => ({
  ...AUTH,
  'X-Correlation-Id': correlationId,
  ...more,
});
const namesOf = (spans: readonly ReceivedSpan[]): string[] => spans.map(({ name }) => name);
const eventsOf = ({ events }: ReceivedSpan): string[] => events.map(({ name }) => name);

/** Each phase begins when the one before it ends, and all of them are inside of the SERVER span. */
function expectNested([server, ...phases]: readonly ReceivedSpan[]): void {
  let from = BigInt(server?.startTimeUnixNano ?? 0);
  for (const { startTimeUnixNano, endTimeUnixNano } of phases) {
    expect(BigInt(startTimeUnixNano)).toBeGreaterThanOrEqual(from);
    from = BigInt(endTimeUnixNano);
  }
  expect(BigInt(server?.endTimeUnixNano ?? 0)).toBeGreaterThanOrEqual(from);
}

test('a request has a span with its facts and its narration, and a child for each phase', async () => {
  const traceparent = `00-${TRACE}-${PARENT}-01`;
  const body = { job_id: 'success', prompt: 'The sea', max_tokens: 8, seed: 1, temperature: 0.5 };
  const given = headers('success', { traceparent, tracestate: 'congo=t61,rojo=00f' });
  const events = await worker.execute(body, given);
  const [server, queue, prefill, decode, ...more] = await treeOf('success');
  expect(server).toMatchObject({
    traceId: TRACE,
    parentSpanId: PARENT,
    traceState: 'congo=t61,rojo=00f',
    name: 'chat haiku',
    kind: 2,
    // Sampled, and the parent is a span of another process.
    flags: 0x301,
    status: { code: 0 },
    attributes: {
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'rbees',
      'gen_ai.request.model': 'haiku',
      'gen_ai.request.max_tokens': 8,
      'gen_ai.request.seed': 1,
      'gen_ai.request.temperature': 0.5,
      'gen_ai.request.stream': true,
      'gen_ai.response.id': 'success',
      'gen_ai.usage.output_tokens': 8,
      'gen_ai.response.finish_reasons': ['length'],
      'http.request.method': 'POST',
      'http.route': '/execute',
      'http.response.status_code': 200,
      'rbees.job_id': 'success',
      'rbees.outcome': 'success',
    },
  });
  expect(namesOf([queue, prefill, decode].filter((span) => span !== undefined))).toEqual([
    'queue',
    'prefill',
    'decode',
  ]);
  expect(more).toEqual([]);
  expect(decode).toMatchObject({
    kind: 1,
    flags: 0x101,
    attributes: { 'rbees.output_index': 0, 'rbees.tokens_out': 8 },
  });
  expectNested(await treeOf('success'));
  // The events of the span are the narrations of the stream, with the same names.
  const narrated = events.flatMap(({ data }) => (data.type === 'narration' ? [String(data['event'])] : []));
  expect(server && eventsOf(server)).toEqual(narrated);
  const lines = await worker.told('success');
  expect(lines.length).toBeGreaterThan(4);
  for (const line of lines) expect(line).toMatchObject({ trace_id: TRACE, span_id: server?.spanId });
});

test('the resource names the service, and the scope the conventions', async () => {
  await receiver.until(() => receiver.scope);
  expect(receiver.resource).toMatchObject({ 'service.name': 'rbees-workerd', 'process.pid': worker.process.pid });
  expect(receiver.scope).toMatchObject({ schemaUrl: 'https://opentelemetry.io/schemas/gen-ai/0.1.0' });
});

test('reports of generated tokens are no events: a token costs nothing', async () => {
  const events = await worker.execute(
    { job_id: 'progress', prompt: 'x', min_tokens: 30, max_tokens: 30 },
    headers('progress'),
  );
  expect(events.filter(({ data }) => data['event'] === 'tokens.progress').length).toBeGreaterThan(1);
  const [server] = await treeOf('progress');
  expect(server && eventsOf(server)).not.toContain('tokens.progress');
  expect(server && eventsOf(server)).toContain('inference.complete');
});

test('without a parent, the log has the ids of a new trace', async () => {
  await worker.execute({ job_id: 'alone', prompt: 'The sea', max_tokens: 2 }, headers('alone'));
  const [server] = await treeOf('alone');
  expect(server).not.toHaveProperty('parentSpanId');
  const [line] = await worker.told('alone');
  expect(line).toMatchObject({ trace_id: server?.traceId, span_id: server?.spanId });
});

test('a parent that is not sampled is not exported, and the log still has its trace', async () => {
  const traceparent = `00-${TRACE.replaceAll('4', '5')}-${PARENT}-00`;
  await worker.execute({ job_id: 'quiet', prompt: 'The sea', max_tokens: 2 }, headers('quiet', { traceparent }));
  const [line] = await worker.told('quiet');
  expect(line).toMatchObject({
    trace_id: TRACE.replaceAll('4', '5'),
    span_id: expect.stringMatching(/^[0-9a-f]{16}$/),
  });
  expect(line?.['span_id']).not.toBe(PARENT);
  // A later request is exported; the quiet one would have been before it.
  await worker.execute({ job_id: 'later', prompt: 'The sea', max_tokens: 2 }, headers('later'));
  await treeOf('later');
  expect(receiver.texts.join()).not.toContain(TRACE.replaceAll('4', '5'));
});

describe('the dialects', () => {
  test.each([
    ['/v1/chat/completions', { model: 'haiku', messages: [{ role: 'user', content: 'x' }], max_tokens: 3 }, 'chat'],
    ['/v1/completions', { model: 'haiku', prompt: 'x', max_tokens: 3 }, 'text_completion'],
    ['/v1/responses', { model: 'haiku', input: 'x', max_output_tokens: 3 }, 'chat'],
    ['/v1/messages', { model: 'haiku', messages: [{ role: 'user', content: 'x' }], max_tokens: 3 }, 'chat'],
  ])('%s', async (path, body, operation) => {
    const id = path.replaceAll('/', '-').slice(1);
    const response = await worker.post(path, body, headers(id));
    expect(response.status).toBe(200);
    const answer = (await response.json()) as { id: string };
    const [server, ...phases] = await treeOf(id);
    expect(server).toMatchObject({
      name: `${operation} haiku`,
      attributes: { 'http.route': path, 'gen_ai.request.stream': false, 'gen_ai.response.id': answer.id },
    });
    expect(namesOf(phases)).toEqual(['queue', 'prefill', 'decode']);
  });
});

test('every output of a request has its phases', async () => {
  const body = { model: 'haiku', prompt: 'x', n: 3, max_tokens: 3, min_tokens: 3 };
  expect((await worker.post('/v1/completions', body, headers('several'))).status).toBe(200);
  const [server, ...phases] = await treeOf('several');
  expect(server?.attributes).toMatchObject({
    'gen_ai.request.choice.count': 3,
    'gen_ai.response.finish_reasons': ['length', 'length', 'length'],
  });
  const found = phases.map(({ name, attributes }) => `${name} ${attributes['rbees.output_index']}`);
  const expected = [0, 1, 2].flatMap((index) => ['decode', 'prefill', 'queue'].map((name) => `${name} ${index}`));
  expect(found.sort()).toEqual(expected.sort());
});

describe('a refused request', () => {
  test.each([
    ['invalid', 400, 'invalid_request', AUTH, { job_id: 'x' }, ['request.invalid']],
    ['too-long', 413, 'prompt_too_long', AUTH, { job_id: 'x', prompt: 'sea '.repeat(1000) }, ['request.invalid']],
  ])('%s: status %d is no failure of the span', async (id, status, code, auth, body, events) => {
    const given = { ...auth, 'X-Correlation-Id': id } as Record<string, string>;
    expect((await worker.post('/execute', body, given)).status).toBe(status);
    const [server, ...phases] = await treeOf(id);
    expect(server).toMatchObject({
      status: { code: 0 },
      attributes: { 'http.response.status_code': status, 'error.type': code, 'rbees.outcome': 'refused' },
    });
    expect(server && eventsOf(server)).toEqual(events);
    expect(phases).toEqual([]);
  });

  test('a full queue: a status from 500 on is a failure of the span', async () => {
    const open = (id: string): Promise<Listener> => Listener.open(worker, longJob(id), headers(id));
    const running = [await open('busy-a'), await open('busy-b')];
    const waiting = await open('busy-c');
    await waiting.untilNarrated('request.queued');
    const refused = await worker.post('/execute', { job_id: 'full', prompt: 'x' }, headers('full'));
    expect(refused.status).toBe(503);
    const [server] = await treeOf('full');
    expect(server).toMatchObject({
      status: { code: 2 },
      attributes: { 'http.response.status_code': 503, 'error.type': 'all_slots_busy', 'rbees.outcome': 'refused' },
    });
    // The request that waited has no prefill.
    waiting.leave();
    const [waited, ...phases] = await treeOf('busy-c');
    expect(waited && eventsOf(waited)).toContain('request.queued');
    expect(namesOf(phases)).toEqual(['queue']);
    // The client leaves: the span ends with the job.
    for (const stream of running) stream.leave();
    const [left] = await treeOf('busy-a');
    expect(left?.attributes).toMatchObject({ 'rbees.outcome': 'cancelled', 'http.response.status_code': 200 });
    await treeOf('busy-b');
  });
});

test('a probe, a scrape, an unknown path, a foreign page and a caller without the token have no spans', async () => {
  const before = receiver.spans.length;
  const wrong = { ...headers('stranger'), Authorization: 'Bearer wrong' };
  for (const path of ['/execute', '/v1/chat/completions', '/v1/completions', '/v1/responses', '/v1/messages'])
    expect((await worker.post(path, { job_id: 'x', prompt: 'x' }, wrong)).status).toBe(401);
  const foreign = { ...headers('stranger'), Origin: 'http://page.example' };
  expect((await worker.post('/execute', { job_id: 'x', prompt: 'x' }, foreign)).status).toBe(403);
  for (const path of ['/live', '/metrics', '/health', '/v1/models', '/nothing']) await worker.get(path, AUTH);
  await worker.execute({ job_id: 'probe', prompt: 'The sea', max_tokens: 1 }, headers('probe'));
  await treeOf('probe');
  const servers = receiver.spans.slice(before).filter(({ kind }) => kind === 2);
  expect(servers.map(({ attributes }) => attributes['rbees.correlation_id'])).toEqual(['probe']);
});

test('a cancel ends the phase, and is no failure', async () => {
  const stream = await Listener.open(worker, longJob('cancelled'), headers('cancelled'));
  await stream.untilToken(3);
  await worker.post('/cancel', { job_id: 'cancelled' }, AUTH);
  await stream.ended;
  const [server, ...phases] = await treeOf('cancelled');
  expect(server).toMatchObject({
    status: { code: 0 },
    attributes: { 'rbees.outcome': 'cancelled', 'error.type': 'cancelled' },
  });
  expect(server && eventsOf(server)).toEqual(expect.arrayContaining(['request.cancelled', 'inference.failed']));
  expect(namesOf(phases)).toEqual(['queue', 'prefill', 'decode']);
  expect(phases.at(-1)).toMatchObject({ status: { code: 0 } });
});

test('a lost engine ends the decode span with an error; after the interruption, prefill and decode begin again', async () => {
  const stream = await Listener.open(worker, longJob('lost'), headers('lost'));
  await stream.untilToken(3);
  halt.arm();
  process.kill(enginePid(worker), 'SIGKILL');
  await stream.untilNarrated('request.interrupted');
  halt.disarm();
  await stream.untilNarrated('request.resumed');
  await stream.ended;
  const [server, ...phases] = await treeOf('lost');
  expect(server).toMatchObject({ status: { code: 0 }, attributes: { 'rbees.outcome': 'success' } });
  expect(server && eventsOf(server)).toEqual(expect.arrayContaining(['request.interrupted', 'request.resumed']));
  expect(namesOf(phases)).toEqual(['queue', 'prefill', 'decode', 'interruption', 'prefill', 'decode']);
  expect(phases[2]).toMatchObject({ status: { code: 2 }, attributes: { 'error.type': 'engine_lost' } });
  expect(phases[3]).toMatchObject({ status: { code: 0 }, attributes: { 'rbees.interruption': 'engine_lost' } });
  const tokens = phases.map(({ attributes }) => Number(attributes['rbees.tokens_out'] ?? 0));
  expect(tokens.reduce((sum, one) => sum + one, 0)).toBe(server?.attributes['gen_ai.usage.output_tokens']);
  expectNested([server as ReceivedSpan, ...phases]);
});
