/** Refused requests leave a trace, and end their connection. */
import { once } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import { killAll } from '../../support/processes.ts';
import { closed, open, rawOnce, requestOf, statusesOf } from '../../support/raw.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

const TOKEN = 'correct-horse-battery-staple';
const WRONG = 'incorrect-horse-battery-staple';
const bearer = (token: string): string => `Authorization: Bearer ${token}`;
const shutdown = (...headers: string[]): string => requestOf('POST', '/shutdown', '{}', headers);

afterEach(killAll);

const guarded = (): Promise<TestWorker> => startWorker({ env: { RBEES_API_TOKEN: TOKEN }, early: true });

/** The numbers of all reports of an event. */
const reports = (worker: TestWorker, event: string): unknown[] =>
  worker.lines.filter((line) => line.event === event).map((line) => line['requests_refused']);

test.each([
  ['wrong tokens', 'auth.refused', 'unauthorized', 401, { Authorization: `Bearer ${WRONG}` }],
  ['foreign pages', 'origin.refused', 'forbidden_origin', 403, { Origin: 'https://evil.example' }],
] as const)(
  '%s are narrated at most every ten seconds, with their full number',
  async (_, event, reason, status, headers) => {
    const worker = await guarded();
    for (let n = 0; n < 20; n += 1) expect((await worker.post('/shutdown', {}, { ...headers })).status).toBe(status);
    const metrics = await (await worker.get('/metrics', { Authorization: `Bearer ${TOKEN}` })).text();
    expect(metrics).toContain(`worker_http_refusals_total{reason="${reason}"} 20`);
    expect(await worker.line(event)).toMatchObject({ level: 'WARN', requests_refused: 1, client_address: '127.0.0.1' });
    expect(await worker.stop()).toBe(0);
    // A machine under load may take longer than ten seconds: then there are more reports.
    const told = reports(worker, event).map(Number);
    expect(told.reduce((sum, n) => sum + n, 0)).toBe(20);
    expect(told.length).toBeLessThan(10);
    expect(worker.stdout).not.toContain(WRONG);
    expect(worker.stdout).not.toContain('evil.example');
  },
);

test.each([
  ['401', [bearer(WRONG)]],
  ['403', [bearer(TOKEN), 'Origin: https://evil.example']],
])('%s ends the connection, and a request behind it is not executed', async (status, headers) => {
  const worker = await guarded();
  const heard = await rawOnce(worker, shutdown(...headers) + shutdown(bearer(TOKEN)));
  expect(statusesOf(heard)).toEqual([Number(status)]);
  expect(heard).toMatch(/\r\nConnection: close\r\n/i);
  expect((await worker.get('/live')).status).toBe(200);
  expect(worker.lines.filter((line) => line.event === 'worker.draining')).toEqual([]);
});

test('a client that still sends its body reads the 401, not a reset', async () => {
  const worker = await guarded();
  const socket = await open(worker);
  const errors: unknown[] = [];
  socket.on('error', (error) => errors.push(error));
  let heard = '';
  socket
    .setEncoding('utf8')
    .write(`POST /execute HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 400000\r\n\r\n{`);
  socket.allowHalfOpen = true;
  // The worker has answered and sends no more, but still reads: a closed socket would answer with a reset.
  await once(socket, 'readable');
  socket.on('data', (text: string) => {
    heard += text;
  });
  const ended = once(socket, 'end');
  socket.write(' '.repeat(200_000));
  await ended;
  await new Promise((resolve) => socket.write(' '.repeat(199_999), resolve));
  socket.end();
  await closed(socket);
  expect([statusesOf(heard), errors]).toEqual([[401], []]);
});

test('two Authorization headers are 400, even if both are right', async () => {
  const worker = await guarded();
  for (const second of [bearer(TOKEN), bearer(WRONG), `authorization: Bearer ${TOKEN}`, 'AUTHORIZATION: x']) {
    for (const headers of [
      [bearer(TOKEN), second],
      [second, bearer(TOKEN)],
    ]) {
      const heard = await rawOnce(worker, requestOf('GET', '/health', '', headers));
      expect(statusesOf(heard)).toEqual([400]);
      expect(JSON.parse(heard.split('\r\n\r\n')[1] ?? '')).toMatchObject({
        error: { code: 'INVALID_REQUEST', errors: [{ field: 'Authorization', constraint: 'single' }] },
      });
      expect(heard).not.toContain(TOKEN);
    }
  }
});
