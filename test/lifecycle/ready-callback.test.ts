/**
 * Pool-managers that are slow, broken or close early: each attempt is narrated and limited in time, and the
 * next one follows.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { type Announcement, sendAnnouncement } from '../../src/lifecycle/callback/ready-callback.ts';
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

const TIMES = { spreadMs: 2, firstDelayMs: 4, answerMs: 20_000 };

const report = (url: string, answerMs = 20_000, more: Partial<Announcement> = {}) =>
  capture(() =>
    sendAnnouncement({
      url,
      notice: READY_NOTICE,
      giveUpMs: 0,
      isVital: true,
      stop: new AbortController().signal,
      times: { ...TIMES, answerMs },
      ...more,
    }),
  );

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
  expect(result).toBe('accepted');
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
  expect(result).toBe('accepted');
  const failed = narrations.filter(({ event }) => event === 'callback.failed');
  expect(failed.map((narration) => narration['reason'])).toEqual(['no answer within 0.3 s', 'no answer within 0.3 s']);
});

test('waits for a slow response within the limit', async () => {
  const url = await listen((socket) => setTimeout(() => socket.end(OK), 400));
  const { result, narrations } = await report(url);
  expect(result).toBe('accepted');
  expect(narrations.map(({ event }) => event)).toEqual(['callback.attempt', 'callback.ready']);
  expect(Number(narrations[1]?.['duration_ms'])).toBeGreaterThan(350);
});

test('gives up at the end of the time, and makes its last attempt there', async () => {
  const { result, narrations } = await report(await listen(() => undefined), 20, { giveUpMs: 400 });
  expect(result).toBe('failed');
  const failed = narrations.filter(({ event }) => event === 'callback.failed');
  const attempts = narrations.filter(({ event }) => event === 'callback.attempt');
  expect(attempts.map((one) => one['attempt'])).toEqual(failed.map((_, index) => index + 1));
  expect(failed.length).toBeGreaterThan(1);
  expect(failed.slice(0, -1).filter(({ level }) => level !== 'WARN')).toEqual([]);
  expect(failed.at(-1)).toMatchObject({ level: 'FATAL', timeout_ms: 400 });
  expect(failed.at(-1)).not.toHaveProperty('retry_after_ms');
});

test('an announcement of an accepted worker that gives up is no fatal failure', async () => {
  const { result, narrations } = await report(await listen(() => undefined), 20, { giveUpMs: 1, isVital: false });
  expect(result).toBe('failed');
  expect(narrations.at(-1)).toMatchObject({ event: 'callback.abandoned', level: 'ERROR', timeout_ms: 1 });
});

test('the delays double up to the longest one, with jitter, and never exceed it', async () => {
  const stop = new AbortController();
  let calls = 0;
  const url = await listen((socket) => {
    calls += 1;
    if (calls === 12) stop.abort();
    socket.end(OK.replace('200 OK', '500 Oh'));
  });
  const times = { ...TIMES, firstDelayMs: 4, longestDelayMs: 40 };
  const { result, narrations } = await report(url, 20_000, { stop: stop.signal, times });
  expect(result).toBe('ended');
  const delays = narrations.flatMap((one) => ('retry_after_ms' in one ? [Number(one['retry_after_ms'])] : []));
  expect(delays).toHaveLength(11);
  for (const [index, delay] of delays.entries()) {
    const plain = Math.min(4 * 2 ** index, 32);
    expect(delay).toBeGreaterThanOrEqual(Math.floor(plain * 0.75));
    expect(delay).toBeLessThanOrEqual(Math.ceil(plain * 1.25));
  }
});

test('a longer Retry-After than the longest delay is cut to it', async () => {
  const busy: Behaviour = (socket) =>
    socket.end('HTTP/1.1 503 Busy\r\nRetry-After: 86400\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
  const { narrations } = await report(await listen(busy, fine), 20_000, { times: { ...TIMES, longestDelayMs: 30 } });
  expect(narrations.find(({ event }) => event === 'callback.failed')).toMatchObject({ retry_after_ms: 30 });
});

test('a newer announcement ends the delays, and not an attempt that waits for its answer', async () => {
  const next = new AbortController();
  const url = await listen((socket) => {
    next.abort();
    setImmediate(() => socket.end(OK.replace('200 OK', '503 Busy').replace('\r\n', '\r\nRetry-After: 3600\r\n')));
  });
  const { result, narrations } = await report(url, 20_000, { next: next.signal });
  expect(result).toBe('ended');
  expect(narrations.map(({ event }) => event)).toEqual(['callback.attempt', 'callback.failed']);
  expect(narrations[1]).toMatchObject({ level: 'WARN', http_status: 503, retry_after_ms: 0 });
});

test.each([
  [302, /^set --callback-url to the final URL: pool-manager answered 302/],
  [401, /^use the right --callback-token; pool-manager answered 401$/],
  [403, /^use the right --callback-token; /],
  [404, /^check the path of --callback-url: /],
  [408, /^pool-manager answered 408$/],
])('%i is tried again, and its reason begins with the remedy', async (status, reason) => {
  const url = await listen((socket) => socket.end(OK.replace('200 OK', `${status} Oh`)), fine);
  const { result, narrations } = await report(url);
  expect(result).toBe('accepted');
  expect(narrations[1]).toMatchObject({ http_status: status, reason: expect.stringMatching(reason) });
});

test('410 ends the attempts', async () => {
  const { result, narrations } = await report(await listen((socket) => socket.end(OK.replace('200 OK', '410 Gone'))));
  expect(result).toBe('failed');
  expect(narrations.map(({ event }) => event)).toEqual(['callback.attempt', 'callback.failed']);
  expect(narrations[1]).toMatchObject({ level: 'FATAL', http_status: 410 });
  expect(narrations[1]?.human).toBe(
    'Ready callback failed for good: pool-manager answered 410: it does not want this worker',
  );
});

test('every attempt has the same body, Idempotency-Key and correlation id, and the token', async () => {
  const heads: string[] = [];
  const url = await listen((socket) => socket.end(OK.replace('200 OK', '500 Oh')), fine);
  server?.prependListener('connection', (socket: Socket) => socket.once('data', (data) => heads.push(data.toString())));
  await report(url, 20_000, { token: 'a-token-of-the-test' });
  const same = heads.map((head) => head.replace(/^(?:Host|Connection): .*\r\n/gim, ''));
  expect(same).toEqual([same[0], same[0]]);
  expect(same[0]).toContain(`Idempotency-Key: ${READY_NOTICE.instance_id}-1\r\n`);
  expect(same[0]).toContain('Authorization: Bearer a-token-of-the-test\r\n');
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
  expect(result).toBe('accepted');
  server?.close();
  const { result: cut } = await report(await listen((socket) => socket.write(`${head}x`, () => socket.destroy())));
  expect(cut).toBe('accepted');
});

test('waits as long as the pool-manager asks with Retry-After', async () => {
  const busy: Behaviour = (socket) =>
    socket.end('HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
  const { result, narrations } = await report(await listen(busy, fine));
  expect(result).toBe('accepted');
  expect(narrations.find(({ event }) => event === 'callback.failed')).toMatchObject({ retry_after_ms: 1000 });
});

test('sends a user and a password with any characters', async () => {
  let head = '';
  const url = await listen((socket) => socket.end(OK));
  server?.prependListener('connection', (socket: Socket) => socket.once('data', (data) => (head += data.toString())));
  expect((await report(url.replace('//', '//me:100%@'))).result).toBe('accepted');
  expect(head).toContain(`Authorization: Basic ${btoa('me:100%')}`);
});
