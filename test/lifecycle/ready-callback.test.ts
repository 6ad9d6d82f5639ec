/**
 * Pool-managers that are slow, broken or close early: each attempt is narrated and limited in time, and the
 * next one follows.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { reportReady } from '../../src/lifecycle/callback/ready-callback.ts';
import { capture } from '../../src/narration/narrate.ts';
import { READY_NOTICE } from '../support/fakes.ts';

type Behaviour = (socket: Socket) => void;
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok';
const fine: Behaviour = (socket) => socket.end(OK);

let server: Server | undefined;
const sockets = new Set<Socket>();
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  server?.close();
});

/**
 * A server on a plain socket: the n-th behaviour handles the n-th connection after its first data, the last
 * behaviour all later ones.
 */
async function listen(...behaviours: Behaviour[]): Promise<string> {
  let calls = 0;
  server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('data', () => {
      const behave = behaviours[Math.min(calls, behaviours.length - 1)];
      calls += 1;
      behave?.(socket);
    });
  });
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as { port: number }).port}/ready`;
}

const report = (url: string, answerMs = 20_000) =>
  capture(() => reportReady(url, READY_NOTICE, new AbortController().signal, { firstDelayMs: 4, answerMs }));

test.each<[string, string, Behaviour]>([
  ['closes without a response', 'the connection was closed before the answer', (socket) => socket.end()],
  ['breaks the connection', 'the connection was closed before the answer', (socket) => socket.resetAndDestroy()],
  [
    'closes in the middle of the response head',
    'the connection was closed before the answer',
    (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-'),
  ],
  ['speaks another protocol', 'the answer is not HTTP', (socket) => socket.end('220 mail.example ESMTP\r\n')],
  ['answers 500', 'pool-manager answered 500', (socket) => socket.end(OK.replace('200 OK', '500 Oh'))],
])('repeats the report to a pool-manager that %s', async (_, reason, behave) => {
  const url = await listen(behave, fine);
  const { result, narrations } = await report(url);
  expect(result).toBe(true);
  expect(narrations.map(({ event }) => event)).toEqual([
    'callback.attempt',
    'callback.failed',
    'callback.attempt',
    'callback.ready',
  ]);
  expect(narrations[1]).toMatchObject({ level: 'WARN', error_kind: 'callback_failed', attempt: 1, reason });
});

test('ends an attempt that hangs before or within the response head, and makes the next one', async () => {
  const hang: Behaviour = () => undefined;
  const half: Behaviour = (socket) => socket.write('HTTP/1.1 200 OK\r\nX-');
  const url = await listen(hang, half, fine);
  const { result, narrations } = await report(url, 300);
  expect(result).toBe(true);
  const failed = narrations.filter(({ event }) => event === 'callback.failed');
  expect(failed.map((narration) => narration['reason'])).toEqual(['no answer within 0.3 s', 'no answer within 0.3 s']);
});

test('waits for a slow response within the limit', async () => {
  const url = await listen((socket) => setTimeout(() => socket.end(OK), 400));
  const { result, narrations } = await report(url);
  expect(result).toBe(true);
  expect(narrations.map(({ event }) => event)).toEqual(['callback.attempt', 'callback.ready']);
  expect(Number(narrations[1]?.['duration_ms'])).toBeGreaterThan(350);
});

test('gives up after five attempts without a response', async () => {
  const { result, narrations } = await report(await listen(() => undefined), 60);
  expect(result).toBe(false);
  expect(narrations.map(({ event }) => event)).toEqual(
    Array.from({ length: 5 }, () => ['callback.attempt', 'callback.failed']).flat(),
  );
  expect(narrations.at(-1)).toMatchObject({ level: 'FATAL', attempt: 5 });
});

test('accepts 2xx without waiting for the body, which may be endless or cut off', async () => {
  const head = 'HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n';
  const endless: Behaviour = (socket) => {
    socket.write(head);
    const more = (): void => {
      while (socket.writable && socket.write('x'.repeat(65_536)));
    };
    socket.on('drain', more);
    more();
  };
  const { result } = await report(await listen(endless));
  expect(result).toBe(true);
  server?.close();
  const { result: cut } = await report(await listen((socket) => socket.write(`${head}x`, () => socket.destroy())));
  expect(cut).toBe(true);
});

test('waits as long as the pool-manager asks with Retry-After', async () => {
  const busy: Behaviour = (socket) =>
    socket.end('HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
  const { result, narrations } = await report(await listen(busy, fine));
  expect(result).toBe(true);
  expect(narrations.find(({ event }) => event === 'callback.failed')).toMatchObject({ retry_after_ms: 1000 });
});

test('sends a user and a password with any characters', async () => {
  let head = '';
  const url = await listen((socket) => socket.end(OK));
  server?.prependListener('connection', (socket: Socket) => socket.once('data', (data) => (head += data.toString())));
  expect((await report(url.replace('//', '//me:100%@'))).result).toBe(true);
  expect(head).toContain(`Authorization: Basic ${btoa('me:100%')}`);
});
