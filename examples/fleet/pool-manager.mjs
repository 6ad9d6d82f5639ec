/**
 * A small pool-manager: starts workers, lists the ready ones, restarts dead ones, and replaces all of them
 * without a failed request. It listens on loopback and uses no tokens. Its workers drain when it ends, so it
 * adopts none of an earlier pool-manager. It does not probe its workers: the orchestrator does.
 *
 *   node examples/fleet/pool-manager.mjs [workers=4] [port=9100] [flags of every worker…]
 *
 * `GET /endpoints` lists the ready workers. `POST /roll` replaces all workers, and answers when that is done.
 * `POST /ready` is the callback of the workers. stdout: the lines of all workers and its own, in JSON.
 */
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
/** Time for the routers to read the table after a worker was taken out of it. */
const GRACE_MS = 1000;
/** A worker that drains longer is killed: `--shutdown-timeout` (30 s) and 10 s. Change both together. */
const KILL_MS = 40_000;
const [count = '4', port = '9100', ...flags] = process.argv.slice(2);

/** Processes that run, by worker id. A place has one process after the other, each with its own id. */
const lives = new Map();
/** Ready workers by instance id: the answer of `GET /endpoints`. */
const table = new Map();
const ready = new EventEmitter();
let [stopping, rolling] = [false, false];
const say = (event, fields) => process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);

/** Starts a process. Its `ready` resolves at the callback, and rejects if the process ends before. */
function launch(place) {
  place.generation += 1;
  const id = `w${place.index}-g${place.generation}`;
  const own = ['--worker-id', id, '--port', '0', '--callback-url', `${url}/ready`];
  // stdin is a pipe: the worker drains when this process dies.
  const child = spawn(process.execPath, ['--', CLI, ...own, ...flags], { stdio: ['pipe', 'pipe', 'inherit'] });
  if (child.stdout) createInterface(child.stdout).on('line', (line) => process.stdout.write(`${line}\n`));
  // A process that the system cannot start has no stdout, and an error instead of an exit.
  const exited = once(child, 'exit').catch(({ code }) => [code]);
  const tooEarly = exited.then(([code]) => Promise.reject(new Error(`${id} ended before it was ready, code ${code}`)));
  const life = { id, place, child, exited, ready: Promise.race([once(ready, id), tooEarly]) };
  life.ready.catch(() => undefined); // only a rolling restart waits for it
  lives.set(id, life);
  say('manager.worker_started', { worker_id: id, pid: child.pid });
  exited.then(([code, signal]) => onExit(life, code, signal));
  return life;
}

/** Starts the next process of a place, after a pause that doubles with each failed start. */
async function onExit(life, code, signal) {
  lives.delete(life.id);
  table.delete(life.instance);
  say('manager.worker_exited', { worker_id: life.id, code, signal });
  const isWanted = () => !stopping && life.place.life === life; // a rolling restart has not replaced it
  if (code === 2 && isWanted()) return stop(2); // The flags are wrong: no restart can help.
  await sleep(Math.min(500 * 2 ** life.place.failures++, 30_000));
  if (isWanted()) life.place.life = launch(life.place);
}

/** Takes a worker into the table. A worker may report more than once. Returns the status of the answer. */
function onReady({ worker_id, instance_id, pid, url }) {
  const life = lives.get(worker_id);
  if (!life || life.retired) return 410; // not wanted: the worker ends its attempts
  life.instance = instance_id;
  life.place.failures = 0;
  table.set(instance_id, { instance_id, worker_id, pid, url });
  ready.emit(worker_id);
  return 204;
}

/** Replaces one worker after the other. Rejects if a successor does not start: its predecessor serves on. */
async function roll() {
  for (const place of places) {
    const next = launch(place);
    await next.ready; // The successor is in the table.
    const old = place.life;
    Object.assign(place, { life: next });
    Object.assign(old, { retired: true });
    table.delete(old.instance);
    await sleep(GRACE_MS); // No router sends a request to the old worker after this.
    await end(old);
    if (stopping) return;
  }
}

/** Drains a worker. After Ctrl-C, which signals workers too, a SIGTERM would cut its streams. */
async function end({ child, exited }) {
  child.stdin?.end();
  const timer = setTimeout(() => child.kill('SIGKILL'), KILL_MS);
  await exited;
  clearTimeout(timer);
}

async function stop(code) {
  stopping = true;
  await Promise.all([...lives.values()].map(end));
  process.exit(code);
}

const server = createServer(async (request, response) => {
  const answer = (status, body = '') => response.writeHead(status).end(body && JSON.stringify(body));
  const route = `${request.method} ${request.url}`;
  if (route === 'GET /endpoints') return answer(200, [...table.values()]);
  if (route === 'POST /ready') return answer(await json(request).then(onReady, () => 400));
  if (route !== 'POST /roll') return answer(404);
  if (rolling) return answer(409);
  rolling = true;
  const failure = await roll().catch((error) => error.message);
  rolling = false;
  answer(failure === undefined ? 200 : 500, failure && { message: failure });
});
await once(server.listen(Number(port), '127.0.0.1'), 'listening');
const url = `http://127.0.0.1:${server.address().port}`;
const places = Array.from({ length: Number(count) }, (_, index) => ({ index, generation: 0, failures: 0 }));
for (const place of places) place.life = launch(place);
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => stop(0));
say('manager.listening', { url });
