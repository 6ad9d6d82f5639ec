/** Faults of networks and proxies that only a fake `fetch` can force. */
import { describe, expect, test } from 'vitest';
import { ConnectionError, RefusedError, WorkerClient } from '../../src/client/client.ts';

const JOB = { prompt: 'x', job_id: 'one' };

interface Sent {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
  readonly signal: AbortSignal | null | undefined;
}

/** A client whose requests get these answers in turn; the last one again and again. */
function clientOf(...answers: ((sent: Sent) => Response | Promise<Response>)[]) {
  const sent: Sent[] = [];
  const send: typeof fetch = async (input, init) => {
    const one = {
      method: init?.method ?? '',
      path: String(input),
      headers: new Headers(init?.headers),
      signal: init?.signal,
    };
    sent.push(one);
    const answer = answers[Math.min(sent.length, answers.length) - 1];
    return answer?.(one) ?? Promise.reject(new TypeError('no answer'));
  };
  return { client: new WorkerClient({ url: '', fetch: send }), sent, posts: () => sent.filter(isPost).length };
}

const isPost = ({ method, path }: Sent): boolean => method === 'POST' && path === '/execute';
const broken = (): Promise<Response> => Promise.reject(new TypeError('fetch failed', { cause: new Error('reset') }));
const SSE = { headers: { 'Content-Type': 'text/event-stream' } };
const frame = (id: number, data: object & { type: string }): string =>
  `id: run-${id}\nevent: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
const started = (correlation_id: string): string => frame(0, { type: 'started', correlation_id } as never);
const END = frame(1, { type: 'end' });
/** The stream of the job whose POST came first. */
const streamOf =
  (...frames: string[]) =>
  () =>
    new Response(frames.join(''), SSE);
const notFound = (): Response =>
  Response.json(
    { error: { code: 'NOT_FOUND', message: 'unknown', retriable: false, retry: 'never' } },
    { status: 404 },
  );

const errorOf = (promise: Promise<unknown>): Promise<unknown> => promise.catch((error: unknown) => error);

describe('a POST without an answer', () => {
  test('whose job comes late is found, and not sent again', async () => {
    const { client, sent, posts } = clientOf(broken, notFound, broken, ({ headers }) => {
      expect(headers.get('Last-Event-ID')).toBeNull();
      return new Response(started(sent[0]?.headers.get('X-Correlation-Id') ?? '') + END, SSE);
    });
    expect((await client.execute(JOB).end()).type).toBe('end');
    expect(posts()).toBe(1);
  });

  test('whose job never comes is the first error, after a search', async () => {
    const { client, sent, posts } = clientOf(broken, notFound);
    const error = await errorOf(client.execute(JOB, { resumeForMs: 2000 }).text());
    expect(error).toBeInstanceOf(ConnectionError);
    expect((error as Error).message).toContain('did not answer: reset');
    expect(sent.length).toBeGreaterThan(2);
    expect(posts()).toBe(1);
  });

  test('finds no job of another request with the same id', async () => {
    const { client } = clientOf(broken, streamOf(started('another-request'), END));
    const error = await errorOf(client.execute(JOB).text());
    expect(error).toBeInstanceOf(ConnectionError);
    expect((error as Error).message).toContain('has another job with the id one');
  });

  test('because of a proxy that gave up is looked for too', async () => {
    const gateway = (): Response => new Response('<h1>Gateway Timeout</h1>', { status: 504 });
    const { client, sent, posts } = clientOf(gateway, () =>
      streamOf(started(sent[0]?.headers.get('X-Correlation-Id') ?? ''), END)(),
    );
    expect((await client.execute(JOB).end()).type).toBe('end');
    expect(posts()).toBe(1);
  });
});

describe('a POST that a browser has sent twice', () => {
  const error = { code: 'DUPLICATE_JOB', message: 'runs', retriable: true, retry: 'here' };
  const duplicate = (): Response => Response.json({ error }, { status: 409, headers: { 'Retry-After': '0' } });

  test('is read as the job of the first', async () => {
    const { client, posts } = clientOf(duplicate, streamOf(started('c'), END));
    expect((await client.execute({ prompt: 'x' }, { acceptWithinMs: 60_000 }).end()).type).toBe('end');
    expect(posts()).toBe(1);
  });

  test('is read as the job of the first, with an id that the caller declares as new', async () => {
    const { client, posts } = clientOf(duplicate, streamOf(started('c'), END));
    expect((await client.execute(JOB, { isNewId: true }).end()).type).toBe('end');
    expect(posts()).toBe(1);
  });

  test('is refused if the caller has chosen the id: the job may be of another caller', async () => {
    const { client } = clientOf(duplicate);
    expect(await errorOf(client.execute(JOB).text())).toMatchObject({ name: 'RefusedError', code: 'DUPLICATE_JOB' });
  });
});

describe('a stream', () => {
  test('that breaks again and again without an event is given up', async () => {
    const { client, sent } = clientOf(streamOf(started('c')), streamOf());
    const error = await errorOf(client.attach('one', { resumeForMs: 1500 }).text());
    expect(error).toBeInstanceOf(ConnectionError);
    expect(error).toMatchObject({ lastEventId: 'run-0' });
    expect(sent.length).toBeGreaterThan(2);
    // The pauses grow: no flood of requests.
    expect(sent.length).toBeLessThan(12);
  });

  test('is made again through errors of a proxy, and skips events that came before', async () => {
    const bad = (): Response => new Response('bad gateway', { status: 502 });
    const token = frame(1, { type: 'token', t: 'a', i: 0 } as never);
    const rest = [started('c'), token, frame(2, { type: 'token', t: 'b', i: 1 } as never), frame(3, { type: 'end' })];
    const { client } = clientOf(streamOf(started('c'), token), bad, broken, streamOf(...rest));
    expect(await client.attach('one').text()).toBe('ab');
  });

  test('whose job another worker does not know is lost, and goes on elsewhere', async () => {
    const first = frame(0, { type: 'started', correlation_id: 'c', seed: 7, fingerprint: 'f' } as never);
    const token = frame(1, { type: 'token', t: 'a', i: 0, ids: [5] } as never);
    const { client, sent } = clientOf(streamOf(first, token), notFound);
    const error = await errorOf(client.execute({ ...JOB, ids: true }).text());
    expect(error).toBeInstanceOf(ConnectionError);
    expect(error).toMatchObject({
      message: 'The connection to job one broke and could not be restored (unknown).',
      lastEventId: 'run-1',
      cause: { name: 'RefusedError', status: 404, code: 'NOT_FOUND' },
      continuation: { seed: 7, index: 1, output: [{ t: 'a' }], resume: { token_ids: [5], index: 1, fingerprint: 'f' } },
    });
    expect(sent.map(({ path }) => path)).toEqual(['/execute', '/jobs/one/events']);
  });

  test('with data that is not JSON is a SyntaxError', async () => {
    const { client } = clientOf(streamOf('id: run-0\ndata: {\n\n'));
    expect(await errorOf(client.attach('one').text())).toBeInstanceOf(SyntaxError);
  });

  test('of another type is no stream of a worker', async () => {
    const page = (): Response => new Response('<html>', { headers: { 'Content-Type': 'text/html' } });
    const error = await errorOf(clientOf(page).client.attach('one', { resumeForMs: 0 }).text());
    expect((error as Error).message).toBe('The answer is not a stream of a worker: its type is text/html.');
  });
});

test('many new connections and tries leave no listener on a signal', async () => {
  const warnings: Error[] = [];
  const note = (warning: Error): number => warnings.push(warning);
  process.on('warning', note);
  const busy = (): Response =>
    Response.json(
      { error: { code: 'LOADING', message: 'loads', retriable: true, retry: 'here', details: { retry_after_ms: 1 } } },
      { status: 503 },
    );
  const tokens = Array.from({ length: 15 }, (_, i) => streamOf(frame(i + 1, { type: 'token', t: 'a', i } as never)));
  const ended = streamOf(frame(99, { type: 'end' }));
  const { client } = clientOf(...Array.from({ length: 15 }, () => busy), streamOf(started('c')), ...tokens, ended);
  const { signal } = new AbortController();
  expect(await client.execute(JOB, { acceptWithinMs: 60_000, signal }).text()).toBe('a'.repeat(15));
  await new Promise(setImmediate);
  process.off('warning', note);
  expect(warnings).toEqual([]);
});

test('a loop that is left does not wait long for a cancel without an answer', async () => {
  const silent = ({ path, signal }: Sent): Promise<Response> =>
    new Promise((_, reject) => {
      expect(path).toBe('/cancel');
      signal?.addEventListener('abort', () => reject(signal.reason));
    });
  const { client, sent } = clientOf(streamOf(started('c')), silent);
  for await (const _ of client.execute(JOB, { silenceMs: 100 })) break;
  expect(sent.map(({ path }) => path)).toEqual(['/execute', '/cancel']);
});

describe('an answer', () => {
  test('of a proxy with status 404 is refused, and names the status', async () => {
    const { client } = clientOf(() => new Response('nothing here', { status: 404 }));
    const error = await errorOf(client.jobs());
    expect(error).toBeInstanceOf(RefusedError);
    expect(error).toMatchObject({ status: 404, code: 'NOT_FOUND', retry: 'never' });
    expect((error as Error).message).toBe('The answer has status 404 and does not come from a worker: nothing here');
  });

  test('of a worker that drains is its health', async () => {
    const health = (): Response => Response.json({ worker_id: 'w', status: 'draining' }, { status: 503 });
    expect(await clientOf(health).client.health()).toMatchObject({ status: 'draining' });
    const gateway = (): Response => new Response('unavailable', { status: 503 });
    expect(await errorOf(clientOf(gateway).client.health())).toBeInstanceOf(ConnectionError);
  });

  test('without an exact time has the seconds of Retry-After', async () => {
    const error = { code: 'LOADING', message: 'loads', retriable: true, retry: 'here' };
    const loading = (): Response => Response.json({ error }, { status: 503, headers: { 'Retry-After': '2' } });
    expect(await errorOf(clientOf(loading).client.execute(JOB).text())).toMatchObject({ retryAfterMs: 2000 });
  });
});
