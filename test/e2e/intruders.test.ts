import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startWorker, type TestWorker } from '../support/worker.ts';

let worker: TestWorker;
beforeAll(async () => {
  worker = await startWorker();
});
afterAll(() => worker.kill());

/** Sends `parts` one after the other over one raw connection, each when what came so far fits, and returns all that came. */
function raw(parts: readonly { readonly when: RegExp; readonly send: string }[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const { port } = new URL(worker.url);
    const socket = connect(Number(port), '127.0.0.1');
    let heard = '';
    let next = 0;
    const act = (): void => {
      const part = parts[next];
      if (!part?.when.test(heard)) return;
      next += 1;
      socket.write(part.send);
      act();
    };
    socket.setEncoding('utf8');
    socket.on('connect', act);
    socket.on('data', (text: string) => {
      heard += text;
      act();
    });
    socket.on('close', () => resolve(heard));
    socket.on('error', reject);
  });
}

describe('a page of another site', () => {
  test.each([
    ['/shutdown', { Origin: 'https://evil.example' }],
    ['/shutdown', { 'Sec-Fetch-Site': 'cross-site' }],
    ['/execute', { Origin: 'null' }],
    ['/cancel', { 'Sec-Fetch-Site': 'same-site', Origin: 'https://a.example' }],
  ])('cannot POST %s with %j', async (path, headers) => {
    const response = await fetch(worker.url + path, {
      method: 'POST',
      headers: { ...(headers as Record<string, string>) },
    });
    expect(response.status).toBe(403);
    expect(await response.json()).toMatchObject({ error: { code: 'FORBIDDEN_ORIGIN', retriable: false } });
    expect((await worker.get('/ready')).status).toBe(200);
  });
});

describe('what is not HTTP', () => {
  test('gets the error shape, an id and the end of the connection', async () => {
    const answer = await raw([{ when: /^$/, send: 'GARBAGE\r\n\r\n' }]);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toMatch(/\r\nX-Correlation-Id: [0-9a-f-]{36}\r\n/);
    expect(JSON.parse(answer.split('\r\n\r\n')[1] ?? '')).toMatchObject({ error: { code: 'INVALID_REQUEST' } });
  });

  test('is answered 431 when its headers do not end', async () => {
    const answer = await raw([
      { when: /^$/, send: `GET /live HTTP/1.1\r\nHost: a\r\nX-Long: ${'x'.repeat(40_000)}\r\n\r\n` },
    ]);
    expect(answer).toMatch(/^HTTP\/1\.1 431 /);
  });

  test('never writes a second answer into a stream that has begun', async () => {
    const body = JSON.stringify({ job_id: 'raw-1', prompt: 'Write about the sea', min_tokens: 400 });
    const head = `POST /execute HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
    const heard = await raw([
      { when: /^$/, send: head + body },
      { when: /event: token/, send: 'GARBAGE\r\n\r\n' },
    ]);
    expect(heard.match(/HTTP\/1\.1/g)).toHaveLength(1);
    await worker.line('inference.failed', (line) => line['job_id'] === 'raw-1' && line['error_kind'] === 'cancelled');
  });
});

describe('a body', () => {
  test('that is somebody’s words is not echoed', async () => {
    const response = await worker.post('/execute', JSON.stringify('my secret words'));
    expect(response.status).toBe(400);
    expect(await response.text()).not.toContain('secret');
  });

  test('of the longest prompt passes, however its JSON is written', async () => {
    const prompt = '\\ud83d\\ude00'.repeat(32_768);
    const response = await worker.post('/execute', `{"job_id":"emoji","prompt":"${prompt}"}`);
    expect(await response.json()).toMatchObject({ error: { code: 'PROMPT_TOO_LONG' } });
  });

  test('with a list of a hundred thousand is told once', async () => {
    const response = await worker.post('/execute', { job_id: 'list', prompt: 'x', stop: Array(100_000).fill(1) });
    const { error } = (await response.json()) as { error: { errors: { field: string }[] } };
    expect(error.errors.map(({ field }) => field)).toEqual(['stop']);
  });
});
