/**
 * A pool of workers under Slurm: submits worker.sbatch as a job array, receives the callbacks of its workers,
 * tells routers about them (routers.mjs), replaces the dead, and drains. It keeps no state on disk: after its
 * restart it asks Slurm for its jobs, and the workers for their callbacks. Its end does not end the workers.
 *
 *   node deploy/slurm/pool.mjs --count 3 --listen 10.0.0.1:9100 --env-file ~/rbees.env [options]
 *
 * The options are below; options of sbatch follow after `--`. The file of --env-file has RBEES_API_TOKEN and
 * RBEES_CALLBACK_TOKEN. With the callback token as bearer token, `GET /endpoints` lists the workers, and
 * `POST /drain/<task>` replaces one without a lost request. For fewer workers, start the pool with a smaller
 * --count. stdout: JSON lines.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { EventEmitter, once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { resolve } from 'node:path';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs, parseEnv } from 'node:util';
import { publish } from './routers.mjs';
import { Slurm } from './slurm.mjs';

const option = (value) => ({ type: 'string', ...(value && { default: value }) });
const { values: options, positionals: sbatchOptions } = parseArgs({
  allowPositionals: true,
  options: {
    ...{ count: option('3'), name: option('rbees-worker'), listen: option('127.0.0.1:9100'), 'env-file': option() },
    // Files for routers; admin socket and backend of HAProxy.
    ...{ endpoints: option(), map: option(), haproxy: option(), backend: option('workers') },
    // Seconds between two looks, and seconds without an answer after which a worker is replaced.
    ...{ poll: option('2'), 'dead-after': option('30') },
    script: option(fileURLToPath(new URL('worker.sbatch', import.meta.url))),
  },
});
if (!options['env-file']) throw new Error('--env-file is missing: the file with RBEES_CALLBACK_TOKEN.');
const { RBEES_CALLBACK_TOKEN: TOKEN = '' } = parseEnv(readFileSync(options['env-file'], 'utf8'));
if (TOKEN.length < 8) throw new Error(`RBEES_CALLBACK_TOKEN is missing in ${options['env-file']}.`);
/** Time for routers to follow before a worker drains. */
const GRACE_MS = 1000;
const PROBE_MS = 1000;
const BEGAN = Date.now();
/** Workers that have reported, by index of their array task. */
const table = new Map();
/** Indexes whose last worker has served: the next may start at once. Lives that were asked, or given up. */
const [served, asked, refused] = [new Set(), new Set(), new Set()];
const wake = new EventEmitter();
const say = (event, fields) => void process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);
const slurm = new Slurm(options.name, (message) => say('pool.slurm_failed', { message }));

/** The ready callback. Returns the status of the answer; 410 ends the attempts of an unwanted worker. */
async function onReady({ worker_id, instance_id, url, model }) {
  const [, name, id, index, restarts] = /^(.+)-(\d+_(\d+))-r(\d+)$/.exec(worker_id) ?? [];
  const older = table.get(Number(index));
  if (name !== options.name || (older?.id === id && older.restarts > Number(restarts))) return 410;
  const { hostname, port } = new URL(url);
  const { address } = await lookup(hostname, { family: 4 });
  const life = { id, index: Number(index), restarts: Number(restarts), worker_id, instance_id, address, port, model };
  table.set(life.index, { ...life, url, state: 'new', answeredAt: Date.now() });
  say('pool.worker_ready', { worker_id, url });
  wake.emit('now');
  return 204;
}

/** Compares a worker with its job, and reads its state. */
async function check(worker, job) {
  const runs = job?.id === worker.id && job.restarts === worker.restarts && /^(?:RUNNING|COMPLETING)$/.test(job.state);
  if (!runs) {
    table.delete(worker.index);
    served.add(worker.index);
    return say('pool.worker_gone', { worker_id: worker.worker_id, job_state: job?.state });
  }
  const answer = await fetch(`${worker.url}/ready`, { signal: AbortSignal.timeout(PROBE_MS) }).catch(() => undefined);
  await answer?.body?.cancel();
  // A worker that is silent for a moment stays: routers have checks of their own, and all may be busy.
  if (answer) Object.assign(worker, { answeredAt: Date.now(), state: answer.ok ? 'ready' : 'drain' });
  // `scancel` makes a job COMPLETING at once.
  if (worker.leaves || job.state === 'COMPLETING') worker.state = 'drain';
  if (job.state !== 'RUNNING' || Date.now() - worker.answeredAt < Number(options['dead-after']) * 1000) return;
  say('pool.worker_silent', { worker_id: worker.worker_id });
  worker.answeredAt = Date.now();
  await slurm.requeue(job.id);
}

/** Lets a job start again that has ended. */
async function keep(job) {
  const { id, index, state, exitCode, signal } = job;
  const life = `${id}-r${job.restarts}`;
  if (state === 'PENDING' && job.reason === 'BeginTime' && served.delete(index)) await slurm.startNow(id);
  if (!job.finished || refused.has(life)) return;
  // Exit code 2: the settings are wrong. Submit the array again after a correction.
  if (exitCode === 2) return say('pool.worker_refused', { job: id, exit_code: refused.add(life) && exitCode });
  say('pool.worker_requeued', { job: id, job_state: state, exit_code: exitCode, signal });
  await slurm.requeue(id);
}

/** Takes a worker from the routers, then drains it. A second SIGTERM would end its streams. */
async function drain(worker) {
  if (!worker || worker.leaves || worker.state !== 'ready') return 409;
  Object.assign(worker, { leaves: true, state: 'drain' });
  say('pool.worker_drains', { worker_id: worker.worker_id });
  wake.emit('now');
  await sleep(GRACE_MS);
  await slurm.signal(worker.id, 'TERM');
  return 202;
}

/** Asks a worker that reported to an earlier pool for its callback. */
async function ask({ id, index, restarts, state, startedAt }) {
  const life = `${id}-r${restarts}`;
  if (state !== 'RUNNING' || startedAt >= BEGAN || table.has(index) || asked.has(life)) return;
  asked.add(life);
  await slurm.signal(id, 'USR2');
}

async function look() {
  const jobs = await slurm.jobs();
  if (!jobs) return;
  await Promise.all([...table.values()].map((worker) => check(worker, jobs.get(worker.index))));
  const count = Number(options.count);
  for (const job of jobs.values()) {
    await ask(job);
    if (job.index <= count) await keep(job);
    else if (job.state === 'PENDING') await slurm.cancel(job.id);
    else drain(table.get(job.index));
  }
  const missing = Array.from({ length: count }, (_, at) => at + 1).filter((index) => !jobs.has(index));
  const variables = `--export=ALL,RBEES_CALLBACK_URL=${url}/ready,RBEES_ENV_FILE=${resolve(options['env-file'])}`;
  const array = missing.length && (await slurm.submit(options.script, missing, [variables, ...sbatchOptions]));
  if (array) say('pool.submitted', { job: array.trim(), tasks: missing });
  const known = [...table.values()].filter(({ state }) => state !== 'new');
  await publish(known, options);
}

const receive = (request) =>
  json(request)
    .then(onReady)
    .catch(() => 400);
const digest = (token) => createHash('sha256').update(token).digest();
const server = createServer(async (request, response) => {
  const answer = (status, body) => response.writeHead(status).end(body && JSON.stringify(body));
  const given = digest(request.headers.authorization ?? '');
  if (!timingSafeEqual(given, digest(`Bearer ${TOKEN}`))) return answer(401);
  const route = `${request.method} ${request.url}`;
  if (route === 'POST /ready') return answer(await receive(request));
  if (route === 'GET /endpoints') return answer(200, [...table.values()]);
  const [, index] = /^POST \/drain\/(\d+)$/.exec(route) ?? [];
  answer(index === undefined ? 404 : await drain(table.get(Number(index))));
});
const [host, port] = options.listen.split(':');
await once(server.listen(Number(port), host), 'listening');
const url = `http://${host}:${server.address().port}`;
say('pool.listening', { url });
for (;;) {
  const next = new AbortController();
  const called = once(wake, 'now', { signal: next.signal }).catch(() => undefined);
  await look().catch(({ message }) => say('pool.failed', { message }));
  await Promise.race([called, sleep(Number(options.poll) * 1000, undefined, { signal: next.signal })]);
  next.abort();
}
