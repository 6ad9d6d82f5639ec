/** The worker answers any JSON with a stream or the error shape, and never fails itself. */
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { type DialectRequest, dialectRequests, POSTS, PRIVATE } from '../../soak/dialects/draw.ts';
import { faultIn } from '../../soak/dialects/judge.ts';
import { endings } from '../../support/listener.ts';
import { rawOnce } from '../../support/raw.ts';
import { sampleSize } from '../../support/sample.ts';
import { sharedWorker } from '../../support/shared-worker.ts';
import { eventsOf, numberOf, type StreamEvent, type TestWorker } from '../../support/worker.ts';

let worker: TestWorker;
beforeAll(async () => {
  worker = await sharedWorker();
});

/** A field that is mostly valid, sometimes at a limit, sometimes any value. */
const field = <T>(right: fc.Arbitrary<T>): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 12, arbitrary: right }, { weight: 1, arbitrary: fc.jsonValue() });
const unit = fc.double({ min: 0, max: 1, noNaN: true });
const words = fc.string({ unit: 'binary', minLength: 1, maxLength: 60 });

const bodies = fc.record(
  {
    job_id: field(fc.uuid()),
    prompt: field(words),
    messages: fc.option(fc.array(fc.record({ role: fc.constantFrom('user', 'assistant'), content: words })), {
      nil: undefined,
      freq: 6,
    }),
    max_tokens: field(fc.integer({ min: 1, max: 4 })),
    min_tokens: field(fc.integer({ min: 0, max: 2 })),
    temperature: field(fc.double({ min: 0, max: 2, noNaN: true })),
    top_p: field(unit),
    min_p: field(unit),
    top_k: field(fc.nat()),
    repetition_penalty: field(fc.double({ min: Number.MIN_VALUE, max: 2, noNaN: true })),
    frequency_penalty: field(fc.double({ min: -2, max: 2, noNaN: true })),
    presence_penalty: field(fc.double({ min: -2, max: 2, noNaN: true })),
    seed: field(fc.maxSafeNat()),
    stop: field(fc.array(words, { maxLength: 4 })),
    logprobs: field(fc.integer({ min: 0, max: 20 })),
    raw: field(fc.boolean()),
    extra: fc.jsonValue(),
  },
  { requiredKeys: ['job_id', 'prompt', 'max_tokens'] },
);

function checkStream(events: readonly StreamEvent[]): void {
  expect(events[0]?.data.type).toBe('started');
  expect(endings(events)).toEqual([events.at(-1)]);
  expect(events.at(-1)?.data).not.toMatchObject({ code: 'INFERENCE_FAILED' });
  expect(events.map(numberOf)).toEqual(events.map((_, index) => index));
}

/** A header value: visible Latin-1, with spaces inside. */
const value = fc
  .string({ unit: fc.integer({ min: 0x20, max: 0xff }).map((code) => String.fromCharCode(code)), maxLength: 40 })
  .map((text) => text.replace(/[\x7f-\x9f]/g, '-'));
const plain = fc.record(
  {
    'X-Deadline': fc.oneof(
      value,
      fc.integer({ min: 0, max: 2 ** 45 }).map(String),
      fc.constantFrom('0', '9'.repeat(40)),
    ),
    'X-Correlation-Id': value,
    traceparent: fc.oneof(value, fc.stringMatching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/)),
    'Last-Event-ID': value,
    Accept: value,
    Authorization: value,
    'X-Unknown': value,
  },
  { requiredKeys: [] },
);
/** A page of another site is refused before all other checks: rare enough for the other checks to run. */
const headers = fc.oneof(
  { weight: 9, arbitrary: plain },
  { weight: 1, arbitrary: fc.tuple(plain, value).map(([some, Origin]) => ({ ...some, Origin })) },
);

async function checkAnswer(response: Response): Promise<void> {
  if (response.status === 200) {
    const events: StreamEvent[] = [];
    for await (const event of eventsOf(response)) events.push(event);
    checkStream(events);
    return;
  }
  expect([400, 403, 409, 413, 415, 503, 504]).toContain(response.status);
  expect(await response.json()).toMatchObject({
    error: {
      code: expect.stringMatching(/^[A-Z_]+$/),
      message: expect.any(String),
      retriable: expect.any(Boolean),
      correlation_id: response.headers.get('x-correlation-id'),
    },
  });
}

test('bodies that look like requests', async () => {
  const statuses = new Map<number, number>();
  await fc.assert(
    fc.asyncProperty(bodies, async (body) => {
      const response = await worker.post('/execute', body);
      statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
      await checkAnswer(response);
    }),
    { numRuns: sampleSize(150, 50), endOnFailure: true },
  );
  // The property is about both outcomes, and both occurred.
  expect(statuses.get(200)).toBeGreaterThan(sampleSize(10, 3));
  expect(statuses.get(400)).toBeGreaterThan(sampleSize(10, 3));
});

test('any JSON, on every route with a body', async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom('/execute', '/cancel'), fc.json({ maxDepth: 6 }), async (path, body) => {
      await checkAnswer(await worker.post(path, body));
    }),
    { numRuns: sampleSize(100, 20), endOnFailure: true },
  );
});

/** Sends a request of a dialect. Returns the bytes of its answer. */
const ask = ({ method, path, headers, body }: DialectRequest): Promise<string> => {
  const lines = [...headers, ['Connection', 'close'] as const].map(([name, value]) => `${name}: ${value}`);
  const length = method === 'POST' ? [`Content-Length: ${Buffer.byteLength(body)}`] : [];
  return rawOnce(worker, [`${method} ${path} HTTP/1.1`, 'Host: 127.0.0.1', ...lines, ...length, '', body].join('\r\n'));
};

test('requests to the routes of the dialects', async () => {
  const statuses = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(dialectRequests, async (request) => {
      const answer = await ask(request);
      const status = answer.slice(9, 12);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      expect(faultIn(request, Buffer.from(answer).toString('latin1'))).toBeUndefined();
    }),
    { numRuns: sampleSize(300, 100), endOnFailure: true },
  );
  // Valid requests, and invalid ones.
  expect(statuses.get('200')).toBeGreaterThan(sampleSize(10, 3));
  expect(statuses.get('400')).toBeGreaterThan(sampleSize(10, 3));
});

test('any JSON, on every route of the dialects', async () => {
  const paths = fc.constantFrom(...POSTS);
  await fc.assert(
    fc.asyncProperty(paths, fc.json({ maxDepth: 6 }), async (path, body) => {
      const headers = [['Content-Type', 'application/json']] as const;
      const request = { method: 'POST', path, headers, body, narrates: false, faults: 1 } as const;
      expect(faultIn(request, Buffer.from(await ask(request)).toString('latin1'))).toBeUndefined();
    }),
    { numRuns: sampleSize(100, 30), endOnFailure: true },
  );
});

test('any headers of a valid request', async () => {
  const statuses = new Set<number>();
  await fc.assert(
    fc.asyncProperty(headers, fc.uuid(), async (some, job_id) => {
      const response = await worker.post('/execute', { job_id, prompt: 'x', max_tokens: 1 }, some);
      statuses.add(response.status);
      await checkAnswer(response);
    }),
    { numRuns: sampleSize(150, 50), endOnFailure: true },
  );
  // Valid ones, an invalid or past deadline, and a page of another site.
  expect([...statuses].sort()).toEqual([200, 400, 403, 504]);
});

test('bytes that are not JSON', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
      const response = await fetch(`${worker.url}/execute`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: new Uint8Array(bytes),
      });
      expect(response.status).toBe(400);
      await checkAnswer(response);
    }),
    { numRuns: sampleSize(50, 10), endOnFailure: true },
  );
});

test('the worker is healthy afterwards, without a worker.fault', async () => {
  expect(await (await worker.get('/health')).json()).toMatchObject({ status: 'healthy', slots: { busy: 0 } });
  const blamed = worker.lines.filter((line) => ['worker.fault', 'engine.lost', 'engine.warning'].includes(line.event));
  expect(blamed).toEqual([]);
  expect(worker.lines.filter((line) => JSON.stringify(line).includes(PRIVATE))).toEqual([]);
  expect(worker.foreign).toEqual([]);
  expect(worker.stderr).toBe('');
});
