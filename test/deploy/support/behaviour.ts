/** The behaviour that every load balancer of deploy/ must have, as tests. */
import { randomUUID } from 'node:crypto';
import { get } from 'node:http';
import { connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { WorkerClient } from '../../../src/client/client.ts';
import { eventually } from '../../support/eventually.ts';
import { type Listener, lastOf, longJob } from '../../support/listener.ts';
import type { TestWorker } from '../../support/worker.ts';
import { arrivalOf } from './pieces.ts';
import { isRoot, type LoadBalancer, type ProxyOptions } from './proxies.ts';
import {
  AUTHORIZED,
  LEAST_PART,
  listen,
  NAMES,
  partOfPieces,
  post,
  QUEUE,
  readOn,
  type Scene,
  SLOTS,
  shortJob,
  TOKEN,
  workerOf,
} from './scene.ts';

const KEPT = 'req-through-proxy';
/** Paths that no user may reach, and forms of them that a server could read as one of them. */
const PRIVATE = [
  ...['/metrics', '/health', '/live', '/jobs', '/', '/v1', '/jobs/a/events/b', '/jobs//events', '/metrics?x=/v1/'],
  ...['//metrics', '/METRICS', '/metrics/', '/%6detrics', '/metrics;/v1/', '/v1/../metrics', '/v1/%2e%2e/metrics'],
  ...['/v1/..%2Fmetrics', '/v1/.%2e', '/metrics/../v1/models', '/metrics;/../v1/models', '/metrics%3f/../v1/models'],
  ...['/jobs/..%2f..%2fmetrics/events', '/jobs/x/events/../../../metrics', '/jobs/../events', 'http://x/metrics'],
];

/** Streams arrive as they are generated. */
export function testStreams(scene: Scene): void {
  test('tokens arrive one by one', async () => {
    expect(await partOfPieces(scene)).toBeGreaterThanOrEqual(LEAST_PART);
  });

  test('the first token arrives before the last one is generated', async () => {
    const job = longJob(randomUUID(), { min_tokens: 200, max_tokens: 200 });
    const correlation = randomUUID();
    const { firstTokenAt } = await arrivalOf(scene.proxy.url, job, { ...AUTHORIZED, 'X-Correlation-Id': correlation });
    const said = await Promise.race(
      scene.workers.map(({ line }, index) =>
        line.call(scene.workers[index], 'inference.complete', (one) => one['correlation_id'] === correlation),
      ),
    );
    expect(firstTokenAt).toBeLessThan(Date.parse(String(said['timestamp'])));
  });
}

/** Ids, logs, and the routes that a user reaches. */
export function testDoor(scene: Scene): void {
  test('one correlation id and the trace are in the answer, the log of the proxy and the log of the worker', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const given = { 'X-Correlation-Id': 'req-"{', traceparent };
    const requests: Record<string, string>[] = [{ ...given, 'X-Correlation-Id': KEPT }, { traceparent }, given];
    for (const headers of requests) {
      const answer = await post(scene, '/execute', shortJob(), headers);
      const correlation = answer.headers.get('x-correlation-id');
      if (headers['X-Correlation-Id'] === KEPT) expect(correlation).toBe(KEPT);
      expect(correlation).toMatch(/^[A-Za-z0-9._-]{1,64}$/);
      expect(answer.headers.get('traceparent')).toBe(traceparent);
      expect([...answer.headers.keys()].filter((name) => name.startsWith('x-worker-'))).toEqual([]);
      expect(answer.headers.get('keep-alive')).toBeNull();
      await answer.text();
      await eventually(() => {
        const logged = scene.proxy.lines().filter((line) => line['correlation_id'] === correlation);
        expect(logged).toEqual([
          expect.objectContaining({
            method: 'POST',
            path: '/execute',
            status: 200,
            traceparent,
            job_id: decodeURIComponent(answer.headers.get('x-job-id') ?? ''),
            run_id: answer.headers.get('x-run-id'),
            slots_free: String(SLOTS - 1),
          }),
        ]);
      });
      const lines = scene.workers.flatMap((worker) => worker.linesOf(correlation ?? ''));
      expect(lines.length).toBeGreaterThan(0);
    }
  });

  test('the routes of operators are not public', async () => {
    for (const path of PRIVATE) {
      const { status, text } = await rawGet(scene.proxy.url, path);
      expect([path, status, text.includes('worker_')]).toEqual([path, expect.toBeOneOf([400, 404]), false]);
    }
    for (const path of ['/shutdown', '/announce'])
      expect([path, (await post(scene, path, {})).status]).toEqual([path, 404]);
    expect((await fetch(`${scene.proxy.url}/ready`)).status).toBe(200);
    expect((await fetch(`${scene.proxy.url}/v1/models`)).status).toBe(401);
    expect((await fetch(`${scene.proxy.url}/v1/models`, { headers: AUTHORIZED })).status).toBe(200);
    for (const worker of scene.workers) expect((await worker.get('/ready')).status).toBe(200);
  });
}

/** Requests that two servers can understand in two ways. */
export function testSmuggling(scene: Scene): void {
  const inner = 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n';
  const length = (bytes: number): string => `Content-Length: ${bytes}\r\n`;
  test.each([
    ['two lengths', length(0) + length(inner.length), inner],
    ['a length and chunks', `${length(inner.length + 5)}Transfer-Encoding: chunked\r\n`, `0\r\n\r\n${inner}`],
    ['a space before the colon', `${length(inner.length + 5)}Transfer-Encoding : chunked\r\n`, `0\r\n\r\n${inner}`],
    ['an unknown coding', `${length(inner.length + 5)}Transfer-Encoding: xchunked\r\n`, `0\r\n\r\n${inner}`],
    ['a change of the protocol', 'Connection: Upgrade\r\nUpgrade: h2c\r\n', inner],
  ])('a request with %s reaches no route of operators', async (_, headers, body) => {
    const { hostname, port } = new URL(scene.proxy.url);
    const end = 'GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
    const head = `POST /tokenize HTTP/1.1\r\nHost: x\r\nAuthorization: ${AUTHORIZED.Authorization}\r\n${headers}\r\n`;
    const socket = connect(Number(port), hostname);
    const text = await answerOf(socket, head + body + end);
    expect(text).toMatch(/^HTTP\/1\.1 [45]\d\d /);
    expect(text).not.toContain(' 200 OK');
  });
}

/** Everything that a connection brings until its end. */
function answerOf(socket: Socket, sent: string): Promise<string> {
  let text = '';
  socket.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  socket.write(sent);
  return new Promise((resolve) => {
    socket.on('error', () => resolve(text)).on('close', () => resolve(text));
  });
}

/** A GET whose path is sent as it is: `fetch` would resolve its dots. */
function rawGet(url: string, path: string): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const sent = get(url, { path, headers: AUTHORIZED, agent: false }, async (response) => {
      let text = '';
      for await (const part of response.setEncoding('utf8')) text += part;
      resolve({ status: response.statusCode ?? 0, text });
    });
    sent.on('error', reject);
  });
}

/** The proxy as another user: with a body that it may have to store in a file. */
export function testUnprivileged(
  start: (workers: readonly TestWorker[], options: ProxyOptions) => Promise<LoadBalancer>,
  scene: Scene,
): void {
  test.skipIf(!isRoot)('runs without the rights of root', async () => {
    const proxy = await start(scene.workers, { unprivileged: true });
    const large = { input: 'x'.repeat(1_000_000) };
    for (const [path, body, status] of [
      ['/execute', shortJob(), 200],
      ['/tokenize', large, 400],
    ] as const) {
      const answer = await post({ ...scene, proxy }, path, body);
      expect([path, answer.status]).toEqual([path, status]);
      await answer.text();
    }
    await proxy.stop();
  });
}

/** Requests about a job, and a fleet without a free place. */
export function testJobs(scene: Scene): void {
  test('a reader that returns, and a cancel, reach the worker of the job', async () => {
    for (let index = 0; index < 6; index += 1) {
      const jobId = `job/ä "${index}"`;
      const first = await listen(scene, longJob(jobId, { on_disconnect: 'continue' }));
      await first.untilToken(3);
      first.leave();
      const last = first.events.at(-1)?.id ?? '';
      const response = await readOn(scene, jobId, last);
      expect(response.status).toBe(200);
      const text = await response.text();
      const [run, number] = last.split('-');
      expect(text).toMatch(new RegExp(`^id: ${run}-${Number(number) + 1}\n`));
      expect(text).toContain('event: end');
      expect((await readOn(scene, `${jobId}?`, last)).status).toBe(404);
      const cancel = await post(scene, '/cancel', { job_id: jobId });
      expect([cancel.status, await cancel.json()]).toEqual([202, { job_id: jobId, status: 'finished' }]);
    }
  });

  test('the cancel of a chat reaches its worker by the id of the answer', async () => {
    const body = { messages: [{ role: 'user', content: 'The sea' }], stream: true, max_tokens: 400, ignore_eos: true };
    for (let index = 0; index < 4; index += 1) {
      const answer = await post(scene, '/v1/chat/completions', body);
      const cancel = await post(scene, '/cancel', { job_id: answer.headers.get('x-job-id') });
      expect(cancel.status).toBe(202);
      expect(await answer.text()).toContain('data: [DONE]');
    }
  });

  test('a full fleet refuses a request with the answer of a worker', async () => {
    const places = scene.workers.length * (SLOTS + QUEUE);
    const streams: Listener[] = [];
    while (streams.length < places) streams.push(await listen(scene, longJob(randomUUID())));
    const correlation = `full-${randomUUID()}`;
    const refused = await post(scene, '/execute', longJob(randomUUID()), { 'X-Correlation-Id': correlation });
    const body = (await refused.json()) as { readonly error: { readonly details: object } };
    expect([refused.status, body]).toEqual([
      503,
      {
        error: expect.objectContaining({
          code: 'ALL_SLOTS_BUSY',
          retry: 'here',
          correlation_id: correlation,
          details: expect.objectContaining({ slots_total: SLOTS }),
        }),
      },
    ]);
    expect(refused.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
    const ended = await Promise.all(streams.map((stream) => stream.ended));
    expect(ended.map((events) => lastOf(events).type)).toEqual(ended.map(() => 'end'));
    const told = streams.filter((stream) => stream.told.includes('request.queued'));
    expect(told.length).toBe(scene.workers.length * QUEUE);
  });
}

/** Workers that leave: run these tests last. */
export function testLosses(scene: Scene): void {
  test('a drain loses no request', async () => {
    const streams = await Promise.all(scene.workers.map(() => listen(scene, longJob(randomUUID()))));
    const [stream] = streams;
    if (!stream) throw new Error('There is no stream.');
    await Promise.all(streams.map((one) => one.untilToken()));
    const draining = await workerOf(scene, stream);
    let gone = false;
    const answers: string[] = [];
    const flow = async (): Promise<void> => {
      for (let after = 0; after < 10; after += gone ? 1 : 0) {
        const answer = await post(scene, '/execute', shortJob());
        answers.push(`${answer.status} ${/event: (end|error)\n/.exec(await answer.text())?.[1]}`);
      }
    };
    const flows = [flow(), flow()];
    await eventually(() => expect(answers.length).toBeGreaterThan(4));
    const exit = draining.stop().finally(() => {
      gone = true;
    });
    expect(await exit).toBe(0);
    await Promise.all(flows);
    expect([...new Set(answers)]).toEqual(['200 end']);
    const ended = await Promise.all(streams.map((one) => one.ended));
    expect(ended.map((events) => lastOf(events).type)).toEqual(['end', 'end', 'end']);
  });

  test('the answer of a killed worker goes on at another one', async () => {
    const client = new WorkerClient({ url: scene.proxy.url, apiToken: TOKEN });
    const request = { prompt: 'The sea', seed: 7, ids: true, min_tokens: 480, max_tokens: 480 };
    const whole = await client.execute(request).text();
    const run = client.execute(request, { resumeForMs: 250 });
    let worker: string | undefined;
    let tokens = 0;
    const lost = async (): Promise<void> => {
      for await (const event of run) {
        if (event.type === 'started') worker = event.worker_id;
        if (event.type === 'token') tokens += 1;
        if (tokens === 50) scene.workers[NAMES.indexOf(worker as never)]?.process.kill('SIGKILL');
      }
    };
    await expect(lost()).rejects.toThrow();
    expect(tokens).toBeLessThan(480);
    const rest = client.execute(request, { continuation: run.continuation });
    let resumed: number | undefined;
    for await (const event of rest) {
      if (event.type !== 'started') continue;
      expect(event.worker_id).not.toBe(worker);
      resumed = event.resumed_ids;
    }
    expect(resumed).toBeGreaterThanOrEqual(50);
    expect(await rest.text()).toBe(whole);
  });
}
