/**
 * Strangers on the same machine or network: bytes that are not HTTP, hostile bodies.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { lastOf } from '../../support/listener.ts';
import { raw, rawOnce } from '../../support/raw.ts';
import { sharedWorker } from '../../support/shared-worker.ts';
import type { TestWorker } from '../../support/worker.ts';

let worker: TestWorker;
beforeAll(async () => {
  worker = await sharedWorker();
});

describe('bytes that are not HTTP', () => {
  test('get the error shape, an id and the end of the connection', async () => {
    const answer = await rawOnce(worker, 'GARBAGE\r\n\r\n');
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toMatch(/\r\nX-Correlation-Id: [0-9a-f-]{36}\r\n/);
    expect(JSON.parse(answer.split('\r\n\r\n')[1] ?? '')).toMatchObject({ error: { code: 'INVALID_REQUEST' } });
  });

  test('get 431 if the headers do not end', async () => {
    const answer = await rawOnce(worker, `GET /live HTTP/1.1\r\nHost: a\r\nX-Long: ${'x'.repeat(40_000)}\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 431 /);
  });

  test('never get a second answer inside a stream', async () => {
    const body = JSON.stringify({ job_id: 'raw-1', prompt: 'Write about the sea', min_tokens: 400 });
    const head = `POST /execute HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
    const heard = await raw(worker, [
      { when: /^$/, send: head + body },
      { when: /event: token/, send: 'GARBAGE\r\n\r\n' },
    ]);
    expect(heard.match(/HTTP\/1\.1/g)).toHaveLength(1);
    await worker.line('inference.failed', (line) => line['job_id'] === 'raw-1' && line['error_kind'] === 'cancelled');
  });
});

describe('a body', () => {
  test.each([
    ['brackets', '['.repeat(400_000)],
    ['brackets that close', `${'['.repeat(50_000)}${']'.repeat(50_000)}`],
    ['objects', '{"a":'.repeat(33)],
    ['an unknown field', `{"job_id":"deep","prompt":"x","more":${'['.repeat(40)}${']'.repeat(40)}}`],
  ])('that is nested too deeply is refused before it is parsed: %s', async (_, body) => {
    const response = await worker.post('/execute', body);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { errors: [{ field: 'body', constraint: 'depth' }] } });
  });

  test('may have brackets in its strings, and quotes behind backslashes', async () => {
    const prompt = `${'['.repeat(100)}\\"${'{'.repeat(100)}`;
    const response = await worker.post('/execute', { job_id: 'brackets', prompt, max_tokens: 1 });
    expect([response.status, await response.text()]).toEqual([200, expect.stringContaining('event: end')]);
  });

  test.each(['__proto__', 'constructor'])('that would poison a prototype is refused: %s', async (name) => {
    const poison = name === '__proto__' ? '{"polluted":1}' : '{"prototype":{"polluted":1}}';
    const response = await worker.post('/execute', `{"job_id":"p","prompt":"x","${name}":${poison}}`);
    expect(response.status).toBe(400);
    expect(await response.text()).not.toContain('polluted');
    expect(lastOf(await worker.execute({ job_id: 'p', prompt: 'x', max_tokens: 1 })).type).toBe('end');
  });

  test('with a duplicate key uses the last value', async () => {
    const events = await worker.execute('{"job_id":"a","job_id":"twice","prompt":"x","max_tokens":1}' as never);
    expect(events[0]?.data).toMatchObject({ job_id: 'twice' });
  });

  test('is never echoed', async () => {
    const response = await worker.post('/execute', JSON.stringify('my secret words'));
    expect(response.status).toBe(400);
    expect(await response.text()).not.toContain('secret');
  });

  test('of the longest prompt passes in every form of JSON', async () => {
    const prompt = '\\ud83d\\ude00'.repeat(32_768);
    const response = await worker.post('/execute', `{"job_id":"emoji","prompt":"${prompt}"}`);
    expect(await response.json()).toMatchObject({ error: { code: 'PROMPT_TOO_LONG' } });
  });

  test('with a list of sixty thousand errors reports the list once', async () => {
    const response = await worker.post('/execute', { job_id: 'list', prompt: 'x', stop: Array(60_000).fill(1) });
    const { error } = (await response.json()) as { error: { errors: { field: string }[] } };
    expect(error.errors.map(({ field }) => field)).toEqual(['stop']);
  });
});
