/** Invalid requests: all broken rules at once, one shape for all errors, and no word of the prompt. */
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import { bodyLimit } from '../../../src/http/server.ts';
import { lastOf } from '../../support/listener.ts';
import { sharedWorker } from '../../support/shared-worker.ts';
import { all, type TestWorker } from '../../support/worker.ts';

const MARKER = 'xyzzy-plugh-4711';

let worker: TestWorker;
beforeAll(async () => {
  worker = await sharedWorker();
});

interface ErrorBody {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly retriable: boolean;
    readonly correlation_id: string;
    readonly errors?: {
      readonly field: string;
      readonly constraint: string;
      readonly message: string;
      value?: unknown;
    }[];
  };
}

async function refused(body: unknown, headers: Record<string, string> = {}): Promise<ErrorBody['error']> {
  const response = await worker.post('/execute', body, headers);
  expect(response.status).toBe(400);
  expect(response.headers.get('content-type')).toMatch(/^application\/json/);
  const { error } = (await response.json()) as ErrorBody;
  expect(error).toMatchObject({ code: 'INVALID_REQUEST', retriable: false });
  expect(error.errors?.length).toBeGreaterThan(0);
  for (const violation of error.errors ?? []) {
    expect(violation.field).not.toBe('');
    expect(violation.constraint).not.toBe('');
    expect(violation.message).toContain(violation.field.split(/[.[]/)[0]);
  }
  return error;
}

const good = { job_id: 'job', prompt: 'The sea', max_tokens: 1 };

describe('one broken field', () => {
  test.each([
    ['job_id', ''],
    ['job_id', 'x'.repeat(257)],
    ['job_id', 'new\nline'],
    ['job_id', 'nul\0'],
    ['job_id', 'separator\u2028'],
    ['job_id', 7],
    ['prompt', ''],
    ['prompt', 5],
    ['max_tokens', 0],
    ['max_tokens', 2049],
    ['max_tokens', 1.5],
    ['max_tokens', '10'],
    ['max_tokens', 1e308],
    ['temperature', -0.01],
    ['temperature', 2.01],
    ['temperature', 'hot'],
    ['top_p', 1.1],
    ['top_p', -1],
    ['min_p', 2],
    ['top_k', -1],
    ['top_k', 0.5],
    ['repetition_penalty', 0],
    ['repetition_penalty', 2.5],
    ['frequency_penalty', -2.5],
    ['presence_penalty', 3],
    ['seed', -1],
    ['seed', 2 ** 53],
    ['seed', 1.5],
    ['min_tokens', -1],
    ['stop', 'a string'],
    ['stop', ['a', 'b', 'c', 'd', 'e']],
    ['stop', ['']],
    ['stop', ['x'.repeat(101)]],
    ['stop', [1]],
    ['logprobs', -1],
    ['logprobs', 21],
    ['logprobs', true],
    ['logit_bias', [1, 2]],
    ['logit_bias', { '5': 101 }],
    ['logit_bias', { '5': '1' }],
    ['logit_bias', { '5': null }],
    ['logit_bias', { '-1': 1 }],
    ['logit_bias', { '05': 1 }],
    ['logit_bias', { moon: 1 }],
    ['ignore_eos', 'yes'],
    ['timeout_ms', 0],
    ['raw', 'yes'],
  ])('%s: %j', async (field, value) => {
    const { errors } = await refused({ ...good, [field]: value });
    expect(errors?.map((violation) => violation.field.split('[')[0])).toEqual([field]);
  });

  test.each([
    [{ ...good, prompt: undefined }, 'prompt', 'required'],
    [{ ...good, job_id: undefined }, 'job_id', 'required'],
    [{ ...good, messages: [{ role: 'user', content: 'x' }] }, 'messages', 'exclusive'],
    [{ ...good, prompt: undefined, messages: [] }, 'messages', 'minimum'],
    [{ ...good, prompt: undefined, messages: [{ role: 'wizard', content: 'x' }] }, 'messages[0].role', 'enum'],
    [{ ...good, prompt: undefined, messages: [{ role: 'user' }] }, 'messages[0].content', 'required'],
    [{ ...good, min_tokens: 5, max_tokens: 4 }, 'min_tokens', 'maximum'],
  ])('%j breaks a rule of %s', async (body, field, constraint) => {
    const { errors } = await refused(body);
    expect(errors).toEqual([expect.objectContaining({ field, constraint })]);
  });
});

test('limits are inclusive', async () => {
  const edges = [
    { temperature: 0, top_p: 0, min_p: 0, top_k: 0, repetition_penalty: 0.001, seed: 0, min_tokens: 0, logprobs: 0 },
    { temperature: 2, top_p: 1, min_p: 1, repetition_penalty: 2, seed: Number.MAX_SAFE_INTEGER, logprobs: 20 },
    { frequency_penalty: -2, presence_penalty: 2, stop: ['a', 'b', 'c', 'x'.repeat(100)], job_id: 'x'.repeat(256) },
    { stop: [], max_tokens: 2048, timeout_ms: 86_400_000 },
    { logit_bias: { 0: -100, 1023: 100 }, ignore_eos: false },
    { logit_bias: {}, ignore_eos: true },
  ];
  for (const edge of edges) expect(lastOf(await worker.execute({ ...good, ...edge })).type).toBe('end');
});

test('null fields, and a compressed body, change nothing in the output', async () => {
  const body = { job_id: 'same', prompt: 'Grüße an die See 🐝', max_tokens: 8, temperature: 0 };
  const nulls = { messages: null, raw: null, seed: null, stop: null, top_p: null, on_disconnect: null, more: null };
  const more = { logit_bias: null, ignore_eos: null };
  const outputs = new Set<string>();
  for (const [bytes, headers] of [
    [JSON.stringify(body), {}],
    [JSON.stringify({ ...body, ...nulls, ...more }), {}],
    [gzipSync(JSON.stringify(body)), { 'Content-Encoding': 'gzip' }],
  ] as const) {
    const response = await fetch(`${worker.url}/execute`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...headers },
      body: bytes,
    });
    const text = await response.text();
    expect([response.status, text]).toEqual([200, expect.stringContaining('event: end')]);
    expect(text).not.toContain('fields.ignored');
    outputs.add([...text.matchAll(/"type":"token","t":("(?:[^"\\\\]|\\\\.)*")/g)].map(([, t]) => t).join());
  }
  expect(outputs.size).toBe(1);
  expect([...outputs]).not.toEqual(['']);
});

test('all broken rules are reported together', async () => {
  const { errors, message } = await refused({
    job_id: '',
    prompt: '',
    max_tokens: 0,
    temperature: 9,
    top_p: 'x',
    stop: [''],
    seed: -1,
    logprobs: 99,
  });
  const fields = ['job_id', 'prompt', 'max_tokens', 'temperature', 'top_p', 'seed', 'stop[0]', 'logprobs'];
  expect(errors?.map((violation) => violation.field).toSorted()).toEqual(fields.toSorted());
  for (const field of fields) expect(message).toContain(field);
});

test('a body with a thousand errors gets a short answer', async () => {
  const bodies = [
    { ...good, prompt: undefined, messages: Array.from({ length: 1024 }, () => ({ role: 1, content: 2 })) },
    { ...good, stop: Array.from({ length: 100_000 }, () => 0) },
    { ...good, logit_bias: Object.fromEntries(Array.from({ length: 1000 }, (_, id) => [`${MARKER}${id}`, 'x'])) },
  ];
  for (const body of bodies) {
    const response = await worker.post('/execute', body);
    expect(response.status).toBe(400);
    expect((await response.text()).length).toBeLessThan(512 * 1024);
  }
});

test('no word of prompt, messages or stop strings is ever echoed', async () => {
  const echoing = [
    { job_id: 'echo', prompt: MARKER, max_tokens: 0 },
    { job_id: 'echo', prompt: [MARKER] },
    { job_id: 'echo', prompt: { [MARKER]: MARKER } },
    { job_id: 'echo', prompt: MARKER.repeat(4000) },
    { job_id: 'echo', messages: MARKER },
    { job_id: 'echo', messages: [{ role: MARKER, content: MARKER }] },
    { job_id: 'echo', prompt: 'x', stop: MARKER },
    { job_id: 'echo', prompt: 'x', stop: [MARKER.repeat(10)] },
    `{"job_id":"echo","prompt":"${MARKER}`,
    `${MARKER}`,
  ];
  for (const body of echoing) {
    for (const accept of ['application/json', 'text/event-stream']) {
      const response = await worker.post('/execute', body, { Accept: accept });
      expect(response.status).toBe(400);
      expect(await response.text()).not.toContain(MARKER.slice(0, 8));
    }
  }
  expect(worker.stdout).not.toContain(MARKER.slice(0, 8));
});

describe('bodies that are not objects', () => {
  test.each([
    'null',
    '[]',
    '[1,2]',
    '"text"',
    '42',
    'true',
    '{"job_id":"a",}',
    '{',
    '{"a":NaN}',
    'undefined',
    '',
    '\u0000',
  ])('%j', async (body) => {
    const { errors } = await refused(body);
    expect(errors?.[0]?.field).toBe('body');
  });

  test('prototypes cannot be reached', async () => {
    await refused('{"job_id":"a","prompt":"b","__proto__":{"raw":true}}');
    await refused('{"job_id":"a","prompt":"b","constructor":{"prototype":{"raw":true}}}');
  });

  test('the deepest nesting of a body is invalid', async () => {
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    await refused(deep);
    await refused(`{"job_id":"deep","prompt":${deep}}`);
  });
});

describe('content types and sizes', () => {
  test.each(['text/plain', 'application/x-www-form-urlencoded', 'text/html', 'multipart/form-data', 'garbage'])(
    '%s is not supported',
    async (type) => {
      const response = await worker.post('/execute', JSON.stringify(good), { 'Content-Type': type });
      expect(response.status).toBe(415);
      expect(await response.json()).toMatchObject({ error: { code: 'UNSUPPORTED_MEDIA_TYPE', retriable: false } });
    },
  );

  test('application/json may name its charset', async () => {
    const response = await worker.post('/execute', good, { 'Content-Type': 'application/json; charset=utf-8' });
    expect(response.status).toBe(200);
    await response.text();
  });

  test('a request without any body is invalid', async () => {
    const response = await fetch(`${worker.url}/execute`, { method: 'POST' });
    expect([400, 415]).toContain(response.status);
    expect(await response.json()).toMatchObject({ error: { code: expect.any(String) } });
  });

  test('a body larger than any prompt is refused for its size', async () => {
    const response = await worker.post('/execute', { ...good, prompt: 'x'.repeat(bodyLimit('auto')) });
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({ error: { code: 'PAYLOAD_TOO_LARGE', retriable: false } });
  });
});

test('a client that accepts event streams gets the failure as a stream with status 400', async () => {
  const response = await worker.post(
    '/execute',
    { job_id: 'sse-form', prompt: MARKER, max_tokens: -1, seed: 'x' },
    { Accept: 'text/event-stream', 'X-Correlation-Id': 'req-sse-form' },
  );
  expect(response.status).toBe(400);
  expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
  const body = await response.text();
  expect(body).toMatch(/^id: 0\nevent: narration\ndata: .*\n\nid: 1\nevent: error\ndata: .*\n\n$/);
  const events = await worker.execute('{' as unknown as object, { Accept: 'application/json, text/event-stream' });
  expect(events.map((event) => event.data.type)).toEqual(['narration', 'error']);
  expect(all(events, 'error')[0]).toMatchObject({ code: 'INVALID_REQUEST', correlation_id: expect.any(String) });
});

test('unknown routes and methods are answered in the same shape', async () => {
  for (const path of ['/page', '/execute', '/cancel', '/%2e%2e/etc/passwd', '/health/', '/nope?x=1']) {
    const response = await worker.get(path);
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ error: { code: 'NOT_FOUND' } });
  }
  const broken = await worker.get('/%zz');
  expect(broken.status).toBe(400);
  expect(await broken.json()).toMatchObject({ error: { code: 'INVALID_REQUEST' } });
});
