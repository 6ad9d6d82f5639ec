/**
 * A process that attacks a worker: `node attackers.mjs <attack> <url>` repeats one attack until its stdin
 * closes, then prints the number of its attempts. It never has the token of the worker.
 */
import http from 'node:http';
import { connect, type Socket } from 'node:net';
import { setPriority } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AttackName } from './siege.ts';

/** Lowest priority: an attacker on another machine does not take processor time from the worker. */
const NICEST = 19;
/** Pause before a refused connection is tried again, and between two requests of an idle connection. */
const RETRY_MS = 20;
const RENEW_MS = 2000;

const [attack = '', address = ''] = process.argv.slice(2);
const url = new URL(address);
let attempts = 0;

/** Runs `work` in `count` loops. */
function inParallel(count: number, work: (index: number) => Promise<void>): void {
  for (let index = 0; index < count; index += 1)
    void (async () => {
      for (;;) {
        attempts += 1;
        await work(index);
      }
    })();
}

function connected(): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect(Number(url.port), url.hostname, () => resolve(socket));
    socket.on('error', () => resolve(socket));
  });
}

const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    if (socket.destroyed) resolve();
    else socket.once('close', () => resolve());
  });

/** One request. Resolves with its status when the answer is read; 0 if the connection was cut. */
function send(method: string, path: string, headers: Record<string, string>, body?: string): Promise<number> {
  return new Promise((resolve) => {
    const options = { method, host: url.hostname, port: url.port, path, agent: false, headers };
    const request = http.request(options, (response) => {
      response.resume().once('close', () => resolve(response.statusCode ?? 0));
    });
    request.once('error', () => resolve(0));
    request.end(body);
  });
}

const post = (body: string, path = '/execute'): Promise<number> =>
  send('POST', path, { 'Content-Type': 'application/json' }, body);

/** Routes whose bodies one of the attacks sends in turn. */
const BODY_PATHS = ['/execute', '/v1/chat/completions', '/v1/responses', '/v1/messages'];

const LONG_JOB = { prompt: 'x', min_tokens: 400, max_tokens: 400 };

const ATTACKS: Readonly<Record<AttackName, () => void>> = {
  pipelines: () =>
    inParallel(2, async () => {
      const socket = await connected();
      socket.write(`GET /openapi.json HTTP/1.1\r\nHost: ${url.host}\r\n\r\n`.repeat(900));
      socket.pause();
      await sleep(1000);
      socket.destroy();
    }),
  strangers: () =>
    inParallel(1100, async () => {
      const socket = await connected();
      const renew = setInterval(() => socket.write(`GET /live HTTP/1.1\r\nHost: ${url.host}\r\n\r\n`), RENEW_MS);
      socket.write(`GET /live HTTP/1.1\r\nHost: ${url.host}\r\n\r\n`);
      socket.resume();
      await closed(socket);
      clearInterval(renew);
      await sleep(RETRY_MS);
    }),
  tokenizer: () =>
    inParallel(4, async (index) => {
      const marks = `a${'\u0315'.repeat(16_000)}${'\u0316'.repeat(16_000)}`;
      const prompt = index < 2 ? 'a'.repeat(34) : marks;
      await post(JSON.stringify({ job_id: `hostile-${index}-${attempts}`, prompt }));
    }),
  guesses: () =>
    inParallel(16, async () => {
      await send('GET', '/health', { Authorization: `Bearer guess-${attempts}-guess` });
    }),
  bodies: () => {
    const keys = Array.from({ length: 50_000 }, (_, index) => `"k${index}":0`);
    const body = `{"job_id":"k","prompt":"",${keys.join(',')}}`.slice(0, 452_000).replace(/,[^,]*$/, '}');
    inParallel(8, async (index) => {
      await post(body, BODY_PATHS[index % BODY_PATHS.length]);
    });
  },
  joins: () => {
    inParallel(1, async () => {
      await post(JSON.stringify({ job_id: 'victim', ...LONG_JOB }));
    });
    inParallel(8, async () => {
      const socket = await connected();
      socket.once('data', () => socket.destroy());
      socket.write(`GET /jobs/victim/events?after=0 HTTP/1.1\r\nHost: ${url.host}\r\n\r\n`);
      await closed(socket);
    });
  },
};

setPriority(NICEST);
ATTACKS[attack as AttackName]();
process.stdin.resume().once('end', () => process.stdout.write(String(attempts), () => process.exit(0)));
