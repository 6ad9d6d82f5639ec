/** A worker with a token opens only its probes without it, and never writes it. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { enginePid } from '../../support/cli.ts';
import { lastOf } from '../../support/listener.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

const TOKEN = 'correct-horse-battery-staple';
/** Many environments have the variables of the hub; the worker does not use their secrets. */
const HUB = {
  HF_TOKEN: 'hf_correct-horse',
  HUGGING_FACE_HUB_TOKEN: 'hf_correct-horse-too',
  HF_ENDPOINT: 'http://me:battery@mirror.example',
  HUGGINGFACE_HUB_CACHE: '/staple',
};

let worker: TestWorker;
beforeAll(async () => {
  worker = await startWorker({ args: ['--worker-id', 'guarded'], env: { RBEES_API_TOKEN: TOKEN, ...HUB } });
});
afterAll(() => worker.kill());

const GUARDED = [
  ['GET', '/health'],
  ['GET', '/jobs'],
  ['GET', '/metrics'],
  ['GET', '/openapi.yaml'],
  ['GET', '/openapi.json'],
  ['GET', '/jobs/any/events'],
  ['POST', '/execute'],
  ['POST', '/cancel'],
  ['POST', '/shutdown'],
] as const;
const OPENAI = [
  ['GET', '/v1/models'],
  ['GET', '/v1/models/haiku'],
  ['GET', '/tokenizer_info'],
  ['POST', '/v1/chat/completions'],
  ['POST', '/v1/completions'],
  ['POST', '/v1/responses'],
  ['POST', '/tokenize'],
  ['POST', '/detokenize'],
] as const;
const ANTHROPIC = [
  ['POST', '/v1/messages'],
  ['POST', '/v1/messages/count_tokens'],
] as const;
/** Headers without the right token. */
const STRANGERS: readonly Record<string, string>[] = [
  {},
  { Authorization: 'Bearer wrong' },
  { 'x-api-key': 'wrong' },
  { 'x-api-key': '' },
  { 'x-api-key': `${TOKEN}x` },
  { 'x-api-key': `Bearer ${TOKEN}` },
  { Authorization: 'Bearer wrong', 'x-api-key': TOKEN },
];

const ask = (method: string, path: string, authorization?: string): Promise<Response> =>
  fetch(worker.url + path, { method, headers: authorization === undefined ? {} : { Authorization: authorization } });

test.each(GUARDED)('%s %s needs the token', async (method, path) => {
  for (const authorization of [
    undefined,
    '',
    'Bearer',
    'Bearer ',
    'Bearer wrong',
    `Bearer ${TOKEN}x`,
    `Bearer ${TOKEN.slice(0, -1)}`,
    `Bearer ${TOKEN.toUpperCase()}`,
    `Basic ${TOKEN}`,
    TOKEN,
  ]) {
    const response = await ask(method, path, authorization);
    expect([authorization, response.status]).toEqual([authorization, 401]);
    expect(response.headers.get('www-authenticate')).toMatch(/^Bearer/);
    expect(await response.json()).toEqual({
      error: {
        code: 'UNAUTHORIZED',
        message: expect.any(String),
        retriable: false,
        retry: 'never',
        correlation_id: response.headers.get('x-correlation-id'),
      },
    });
  }
});

/** Each answer to a stranger. Its header names the request for the clients of the dialect. */
async function refusals(method: string, path: string): Promise<unknown[]> {
  const bodies: unknown[] = [];
  for (const headers of STRANGERS) {
    const body = method === 'POST' ? '{ broken' : null;
    const response = await fetch(worker.url + path, { method, headers, body });
    expect([headers, response.status]).toEqual([headers, 401]);
    expect(response.headers.get('www-authenticate')).toMatch(/^Bearer/);
    expect(response.headers.get('x-request-id')).toBe(response.headers.get('x-correlation-id'));
    bodies.push(await response.json());
  }
  return bodies;
}

test.each(OPENAI)("%s %s needs the token, and answers in OpenAI's form", async (method, path) => {
  const error = { message: expect.any(String), type: 'authentication_error', param: null, code: 'invalid_api_key' };
  expect(await refusals(method, path)).toEqual(STRANGERS.map(() => ({ error })));
});

test.each(ANTHROPIC)("%s %s needs the token, and answers in Anthropic's form", async (method, path) => {
  const error = { type: 'authentication_error', message: expect.any(String) };
  const body = { type: 'error', error, request_id: expect.any(String) };
  expect(await refusals(method, path)).toEqual(STRANGERS.map(() => body));
});

test.each([...OPENAI, ...ANTHROPIC])('%s %s is open for the token in both headers', async (method, path) => {
  const right: Record<string, string>[] = [{ Authorization: `Bearer ${TOKEN}` }, { 'x-api-key': TOKEN }];
  for (const headers of right) {
    const body = method === 'POST' ? '{}' : null;
    const response = await fetch(worker.url + path, {
      method,
      headers: { ...headers, 'Content-Type': 'application/json' },
      body,
    });
    // An empty body lacks fields.
    expect(response.status).toBe(method === 'POST' ? 400 : 200);
    expect(await response.text()).not.toContain(TOKEN);
  }
});

test('HEAD does not bypass it', async () => {
  expect((await ask('HEAD', '/health')).status).toBe(401);
  expect((await ask('HEAD', '/metrics')).status).toBe(401);
});

test('the token is checked before the body is read', async () => {
  const response = await worker.post('/execute', '{ broken');
  expect(response.status).toBe(401);
});

test.each([`Bearer ${TOKEN}`, `bearer ${TOKEN}`, `BEARER ${TOKEN}`])(
  'the right token opens: %s',
  async (authorization) => {
    expect((await ask('GET', '/health', authorization)).status).toBe(200);
    const events = await worker.execute(
      { job_id: 'in', prompt: 'The sea', max_tokens: 1 },
      { Authorization: authorization },
    );
    expect(lastOf(events).type).toBe('end');
  },
);

test('probes are open, and report only the state and the age of the heartbeat, not the load', async () => {
  const live = await ask('GET', '/live');
  const alive = { status: 'alive', worker_id: 'guarded', engine_heartbeat_age_ms: expect.any(Number) };
  expect([live.status, await live.json()]).toEqual([200, alive]);
  const ready = await ask('GET', '/ready');
  expect([ready.status, await ready.json()]).toEqual([200, { status: 'ready', accepting: true, worker_id: 'guarded' }]);
});

test('the log has a fingerprint of the token, with which operators can compare tokens', async () => {
  const { token_fingerprint } = await worker.line('worker.startup');
  expect(token_fingerprint).toBe(createHash('sha256').update(TOKEN).digest('hex').slice(0, 8));
});

test.runIf(process.platform === 'linux')(
  "the engine process gets no secret, neither the worker's nor the hub's",
  () => {
    const names = (pid: number): string[] =>
      readFileSync(`/proc/${pid}/environ`, 'latin1')
        .split('\0')
        .map((entry) => entry.split('=')[0] ?? '');
    const secret = ['RBEES_API_TOKEN', ...Object.keys(HUB)];
    const seen = names(enginePid(worker));
    expect(names(worker.process.pid ?? 0)).toEqual(expect.arrayContaining(secret));
    expect(seen).toContain('PATH');
    expect(seen.filter((name) => secret.includes(name))).toEqual([]);
  },
);

test('the token is never written, even if a caller repeats it', async () => {
  const headers = { Authorization: `Bearer ${TOKEN}` };
  await worker.execute({ job_id: TOKEN, prompt: 'The sea', max_tokens: 1, [TOKEN]: 1 }, headers);
  const response = await worker.post('/execute', { job_id: `job ${TOKEN}`, prompt: TOKEN, max_tokens: 0 }, headers);
  expect(response.status).toBe(400);
  expect(await worker.stop()).toBe(0);
  expect(worker.stdout).not.toContain(TOKEN);
  expect(worker.stdout).toContain('[REDACTED]');
  expect(worker.stderr).toBe('');
});
