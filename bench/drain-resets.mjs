/**
 * Counts the requests that a drain breaks: keep-alive clients send requests without a pause while the worker gets
 * SIGTERM. Run: node bench/drain-resets.mjs [rounds] [path of cli.js]
 * A refused connection is harmless: the request was not sent. Every other failure is a broken request.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { fetch, Agent as UndiciAgent } from 'undici';

const ROUNDS = Number(process.argv[2] ?? 20);
const CLI = process.argv[3] ?? fileURLToPath(new URL('../dist/cli.js', import.meta.url));
const CLIENTS = 8;
/** Pause of a client between two requests, in milliseconds: none, or as long as that of a probe. */
const PAUSES = [0, 20];

/** Starts a worker. Resolves with its process and its URL when it is ready. */
async function start() {
  const child = spawn(process.execPath, [CLI, '--port', '0', '--slots', '4'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  let url = '';
  for await (const text of lines) {
    const line = JSON.parse(text);
    if (line.event === 'server.bound') url = line.url;
    if (line.event === 'warmup.done') break;
  }
  child.stdout.resume();
  while ((await fetch(`${url}/ready`)).status !== 200) await sleep(5);
  return { child, url };
}

const bodyOf = (id) => JSON.stringify({ job_id: id, prompt: 'The sea', max_tokens: 1, seed: 1 });

/** Sends one request with node:http. Resolves with the status, after the answer has ended. */
function viaNode(agent) {
  return (url, id) =>
    new Promise((resolve, reject) => {
      const body = bodyOf(id);
      const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) };
      const sent = request(`${url}/execute`, { method: 'POST', agent, headers }, (response) => {
        response.on('error', reject).on('end', () => resolve(response.statusCode));
        response.resume();
      });
      sent.on('error', reject).end(body);
    });
}

/** The same with undici. */
function viaUndici(dispatcher) {
  return async (url, id) => {
    const headers = { 'Content-Type': 'application/json' };
    const response = await fetch(`${url}/execute`, { method: 'POST', dispatcher, headers, body: bodyOf(id) });
    await response.text();
    return response.status;
  };
}

const codeOf = (error) => error.code ?? error.cause?.code ?? String(error.cause ?? error);

/** Sends requests until a connection is refused. Counts answers and failures in `counts`. */
async function hammer({ send, url, name, pause, counts }) {
  for (let n = 0; ; n += 1) {
    const key = await send(url, `${name}-${n}`).then(String, codeOf);
    counts[key] = (counts[key] ?? 0) + 1;
    if (key === 'ECONNREFUSED') return;
    if (pause > 0) await sleep(Math.random() * 2 * pause);
  }
}

const totals = {};
for (const [library, open] of [
  ['node:http', () => viaNode(new Agent({ keepAlive: true }))],
  ['undici', () => viaUndici(new UndiciAgent())],
]) {
  for (const pause of PAUSES) {
    const counts = {};
    let drainMs = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      const { child, url } = await start();
      const exited = once(child, 'exit');
      const clients = Array.from({ length: CLIENTS }, (_, index) =>
        hammer({ send: open(), url, name: `c${index}`, pause, counts }),
      );
      await sleep(200 + Math.random() * 100);
      const asked = performance.now();
      child.kill('SIGTERM');
      await Promise.all(clients);
      await exited;
      drainMs += performance.now() - asked;
    }
    totals[`${library}, pause ${pause} ms`] = { ...counts, 'drain, ms': Math.round(drainMs / ROUNDS) };
  }
}
process.stdout.write(`${JSON.stringify(totals, null, 1)}\n`);
