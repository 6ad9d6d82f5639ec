/** Whether a job would be accepted now: in /health, in /ready, and in the headers of every answer. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { enginePid } from '../../support/cli.ts';
import { eventually } from '../../support/eventually.ts';
import { Listener, longJob } from '../../support/listener.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

const NAMES = ['x-worker-slots-free', 'x-worker-queue', 'x-worker-expected-wait-ms'];
const loadOf = ({ headers }: Response): (string | null)[] => NAMES.map((name) => headers.get(name));
const NONE = [null, null, null];

async function bodyOf(worker: TestWorker, path: string): Promise<Record<string, unknown>> {
  return (await worker.get(path)).json() as Promise<Record<string, unknown>>;
}

describe('one slot and a queue of one', () => {
  let worker: TestWorker;
  beforeAll(async () => {
    worker = await startWorker({ args: ['--slots', '1', '--queue', '1', '--stall-after', '600'] });
  });
  afterAll(() => worker.kill());

  test('an idle worker accepts, without a wait', async () => {
    for (const path of ['/health', '/ready'])
      expect(await bodyOf(worker, path)).toMatchObject({
        accepting: true,
        expected_wait_ms: 0,
        queued_prompt_tokens: 0,
      });
    expect((await bodyOf(worker, '/health'))['engine_heartbeat_age_ms']).toBeGreaterThanOrEqual(0);
  });

  test('every kind of answer of an idle worker has the same three headers', async () => {
    const idle = ['1', '0', '0'];
    const etag = (await worker.get('/openapi.yaml')).headers.get('etag') ?? '';
    const answers: [number, Promise<Response>][] = [
      ...['/health', '/ready', '/live', '/metrics', '/openapi.yaml', '/openapi.json'].map(
        (path): [number, Promise<Response>] => [200, worker.get(path)],
      ),
      [200, fetch(`${worker.url}/health`, { method: 'HEAD' })],
      [304, worker.get('/openapi.yaml', { 'If-None-Match': etag })],
      [404, worker.get('/nowhere')],
      [404, worker.get('/jobs/unknown/events')],
      [404, worker.post('/cancel', { job_id: 'unknown' })],
      [400, worker.post('/execute', { job_id: '' })],
      [400, worker.post('/execute', { job_id: '' }, { Accept: 'text/event-stream' })],
      [400, worker.post('/execute', '{"job_id":')],
      [415, worker.post('/execute', 'x', { 'Content-Type': 'text/plain' })],
    ];
    for (const [status, answer] of answers) {
      const response = await answer;
      await response.text();
      expect([response.url, response.status, loadOf(response)]).toEqual([response.url, status, idle]);
    }
  });

  test('an answer that refuses a page has none', async () => {
    const refused = await worker.get('/health', { Origin: 'https://other.example' });
    expect([refused.status, loadOf(refused)]).toEqual([403, NONE]);
  });

  test('the stream of a job counts this job, and a full worker shows everywhere', async () => {
    const running = await Listener.open(worker, longJob('running'));
    expect(loadOf(running.response).slice(0, 2)).toEqual(['0', '0']);
    await running.untilToken();
    const busy = await bodyOf(worker, '/health');
    expect(busy).toMatchObject({ status: 'healthy', accepting: true, queued_prompt_tokens: 0 });
    expect(busy['expected_wait_ms']).toBeGreaterThan(0);

    const waiting = await Listener.open(worker, longJob('waiting', { max_tokens: 5, min_tokens: 5 }));
    expect(loadOf(waiting.response).slice(0, 2)).toEqual(['0', '1']);
    await waiting.untilNarrated('request.queued');
    const tokens = (await waiting.untilNarrated('prompt.tokenized')).data['tokens_in'];
    // Without reports of a suspended engine, the estimate only falls with the time.
    process.kill(enginePid(worker), 'SIGSTOP');
    const health = await worker.get('/health');
    const before = (await health.json()) as Record<string, number>;
    expect([health.status, before]).toEqual([
      200,
      expect.objectContaining({ status: 'healthy', accepting: false, queued_prompt_tokens: tokens }),
    ]);
    expect(loadOf(health)).toEqual(['0', '1', expect.stringMatching(/^\d+$/)]);
    const ready = await worker.get('/ready');
    expect([ready.status, await ready.json()]).toEqual([
      200,
      expect.objectContaining({ status: 'ready', accepting: false, queued_prompt_tokens: tokens }),
    ]);
    const refused = await worker.post('/execute', longJob('refused'));
    const { error } = (await refused.json()) as { error: { code: string; details: Record<string, number> } };
    const after = (await bodyOf(worker, '/health')) as Record<string, number>;
    process.kill(enginePid(worker), 'SIGCONT');
    expect(error).toMatchObject({ code: 'ALL_SLOTS_BUSY', details: { slots_total: 1, queue_length: 1 } });
    const waits = [before['expected_wait_ms'], error.details['expected_wait_ms'], after['expected_wait_ms']];
    expect(waits.map(Number)).toEqual(waits.map(Number).toSorted((a, b) => b - a));
    expect(error.details['retry_after_ms']).toBeLessThanOrEqual(Number(error.details['expected_wait_ms']));
    expect(loadOf(refused).slice(0, 2)).toEqual(['0', '1']);
    await Promise.all([running.ended, waiting.ended]);
    await eventually(async () => expect(loadOf(await worker.get('/live'))).toEqual(['1', '0', '0']));
  });
});

describe('with --ready-when-full false', () => {
  let worker: TestWorker;
  beforeAll(async () => {
    worker = await startWorker({
      args: ['--slots', '1', '--queue', '0', '--ready-when-full', 'false', '--stall-after', '600'],
    });
  });
  afterAll(() => worker.kill());

  test('a full worker is healthy but not ready, with the same wait as a refused job', async () => {
    expect((await worker.get('/ready')).status).toBe(200);
    const running = await Listener.open(worker, longJob('running'));
    await running.untilToken();
    process.kill(enginePid(worker), 'SIGSTOP');
    const ready = await worker.get('/ready');
    const refused = await worker.post('/execute', longJob('refused'));
    const health = await worker.get('/health');
    process.kill(enginePid(worker), 'SIGCONT');
    const [one, two] = [await ready.json(), await refused.json()].map(
      (body) => (body as { error: { code: string; details: Record<string, number> } }).error,
    );
    expect([ready.status, refused.status, one?.code, two?.code]).toEqual([
      503,
      503,
      'ALL_SLOTS_BUSY',
      'ALL_SLOTS_BUSY',
    ]);
    expect(Number(ready.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    // Nobody waits: the next free slot is the slot of a new job.
    for (const error of [one, two]) expect(error?.details['retry_after_ms']).toBe(error?.details['expected_wait_ms']);
    expect(Number(one?.details['expected_wait_ms'])).toBeGreaterThanOrEqual(Number(two?.details['expected_wait_ms']));
    expect([health.status, await health.json()]).toEqual([
      200,
      expect.objectContaining({ status: 'healthy', accepting: false }),
    ]);
    await worker.post('/cancel', { job_id: 'running' });
    await running.ended;
    await eventually(async () => expect((await worker.get('/ready')).status).toBe(200));
  });
});

describe('with a token', () => {
  const TOKEN = 'correct-horse-battery-staple';
  const OWNER = { Authorization: `Bearer ${TOKEN}` };
  const APP = 'https://app.example';
  let worker: TestWorker;
  beforeAll(async () => {
    const args = ['--slots', '1', '--queue', '0', '--cors-origin', APP, '--ready-when-full', 'false'];
    worker = await startWorker({ args: [...args, '--stall-after', '600'], env: { RBEES_API_TOKEN: TOKEN } });
  });
  afterAll(() => worker.kill());

  test.each(['/health', '/live', '/ready', '/nowhere'])('only its owner gets the headers: %s', async (path) => {
    for (const stranger of [{}, { Authorization: 'Bearer another-token' }])
      expect(loadOf(await worker.get(path, stranger))).toEqual(NONE);
    expect(loadOf(await worker.get(path, OWNER))).toEqual(['1', '0', '0']);
  });

  test('/ready tells a stranger if a job would be accepted, and the owner the figures', async () => {
    const worker_id = expect.any(String);
    expect(await bodyOf(worker, '/ready')).toEqual({ status: 'ready', worker_id, accepting: true });
    expect(await (await worker.get('/ready', OWNER)).json()).toEqual({
      status: 'ready',
      worker_id,
      accepting: true,
      expected_wait_ms: 0,
      queued_prompt_tokens: 0,
    });
  });

  test('/ready of a full worker has no figures for a stranger', async () => {
    const stop = new AbortController();
    await worker.post('/execute', longJob('running'), OWNER, stop.signal);
    process.kill(enginePid(worker), 'SIGSTOP');
    const [stranger, owner] = [await worker.get('/ready'), await worker.get('/ready', OWNER)];
    process.kill(enginePid(worker), 'SIGCONT');
    stop.abort();
    expect([stranger.status, owner.status]).toEqual([503, 503]);
    expect(await stranger.json()).toMatchObject({ error: { code: 'ALL_SLOTS_BUSY' } });
    expect(await owner.json()).toMatchObject({ error: { details: { slots_total: 1, queue_limit: 0 } } });
  });

  test('a page of --cors-origin may read the headers', async () => {
    const answer = await worker.get('/health', { Origin: APP, ...OWNER });
    const exposed = answer.headers.get('access-control-expose-headers')?.toLowerCase();
    for (const name of NAMES) expect(exposed).toContain(name);
  });
});
