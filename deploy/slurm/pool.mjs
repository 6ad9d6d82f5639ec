/**
 * A pool of workers under Slurm: submits worker.sbatch as a job array, receives the callbacks of its workers
 * (callbacks.mjs), tells routers about them (routers.mjs), replaces the dead, and drains. It keeps no state
 * on disk: after its restart it asks Slurm for its jobs, and the workers for their callbacks. Its end does
 * not end the workers. options.mjs lists all options. stdout: JSON lines.
 *
 *   node deploy/slurm/pool.mjs --count 3 --listen 10.0.0.1:9100 --tokens ~/rbees.env [options]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { receiveCallbacks } from './callbacks.mjs';
import { options } from './options.mjs';
import { publish } from './routers.mjs';
import { Slurm } from './slurm.mjs';

const PROBE_MS = 1000;
/** Probes at the same time. */
const PROBES = 250;
/** Time for routers to follow before a worker drains. */
const GRACE_MS = 1000;
/** Time for the callbacks of workers that an earlier pool started. */
const ADOPTION_MS = 10_000;
/** Least time between two looks. */
const PAUSE_MS = 200;
const BEGAN = Date.now();

const say = (event, fields) => void process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);
const slurm = new Slurm(options.name, (message) => say('pool.slurm_failed', { message }));
/** Workers that have reported, by worker id. A worker id names one life of one task. */
const workers = new Map();
/** Worker ids: asked for a callback, and taken from the routers for a drain. */
const [asked, leaving] = [new Set(), new Set()];
/** Tasks whose last worker has served, so that the next may start at once; tasks with wrong settings. */
const [served, refused] = [new Set(), new Set()];
let pause = new AbortController();

function onReady(worker) {
  const known = workers.get(worker.worker_id);
  workers.set(worker.worker_id, { state: 'new', answeredAt: Date.now(), ...known, ...worker });
  say('pool.worker_ready', { worker_id: worker.worker_id, url: worker.url });
  pause.abort();
}

/** Compares a worker with its job, and reads its state. Returns true if it has been silent for too long. */
async function check(worker, job) {
  const { worker_id, index, url } = worker;
  if (!/^(?:RUNNING|COMPLETING)$/.test(job?.state)) {
    workers.delete(worker_id);
    served.add(index);
    say('pool.worker_gone', { worker_id, job_state: job?.state });
    return false;
  }
  const request = { signal: AbortSignal.timeout(PROBE_MS), redirect: 'manual' };
  const answer = await fetch(`${url}/ready`, request).catch(() => undefined);
  await answer?.body?.cancel();
  // A worker that is silent for a moment stays: routers have checks of their own, and all may be busy.
  if (answer) Object.assign(worker, { answeredAt: Date.now(), state: answer.ok ? 'ready' : 'drain' });
  // `scancel` makes a job COMPLETING at once.
  if (leaving.has(worker_id) || job.state === 'COMPLETING') worker.state = 'drain';
  return job.state === 'RUNNING' && Date.now() - worker.answeredAt > options.deadAfterMs;
}

async function checkAll(reported, jobOf) {
  const silent = [];
  for (let at = 0; at < reported.length; at += PROBES) {
    const some = reported.slice(at, at + PROBES);
    const isSilent = await Promise.all(some.map((worker) => check(worker, jobOf.get(worker.worker_id))));
    silent.push(...some.filter((_, index) => isSilent[index]));
  }
  // If most of the workers are silent, the network of the pool is the reason.
  if (silent.length > 1 && silent.length > reported.length / 2)
    return say('pool.unreachable', { workers: silent.length });
  for (const worker of silent) {
    say('pool.worker_silent', { worker_id: worker.worker_id });
    worker.answeredAt = Date.now();
    await slurm.requeue(worker.id);
  }
}

/** Lets a wanted task start again that has ended. */
async function keep({ id, index, state, reason, finished, exitCode, signal }) {
  if (state === 'PENDING' && reason === 'BeginTime' && served.delete(index)) await slurm.startNow(id);
  if (!finished) return refused.delete(index);
  if (refused.has(index)) return;
  // Exit code 2: the settings are wrong. After their correction, `scontrol requeue`, or start the pool again.
  if (exitCode === 2) return say('pool.worker_refused', { job: id, exit_code: refused.add(index) && exitCode });
  say('pool.worker_requeued', { job: id, job_state: state, exit_code: exitCode, signal });
  await slurm.requeue(id);
}

/** Takes a worker from the routers, then drains it. A second SIGTERM would end its streams. */
function drain(worker) {
  if (worker?.state !== 'ready') return false;
  const { worker_id, id } = Object.assign(worker, { state: 'drain' });
  leaving.add(worker_id);
  say('pool.worker_drains', { worker_id });
  pause.abort();
  setTimeout(async () => (await slurm.signal(id, 'TERM')) ?? leaving.delete(worker_id), GRACE_MS);
  return true;
}

/** Asks the workers of an earlier pool for their callbacks. Returns true if none is awaited. */
async function adopt(jobs) {
  const isOlder = ({ state, startedAt }) => state === 'RUNNING' && startedAt < BEGAN;
  const silent = jobs.filter((job) => isOlder(job) && !workers.has(job.worker_id));
  for (const { id, worker_id } of silent.filter((job) => !asked.has(job.worker_id))) {
    if ((await slurm.signal(id, 'USR2')) !== undefined) asked.add(worker_id);
  }
  return silent.length === 0 || Date.now() - BEGAN > ADOPTION_MS;
}

async function look() {
  const reported = [...workers.values()];
  const jobs = await slurm.jobs();
  if (!jobs) return;
  const jobOf = new Map(jobs.map((job) => [job.worker_id, job]));
  await checkAll(reported, jobOf);
  const isComplete = await adopt(jobs);
  const tasks = new Map(jobs.map((job) => [job.index, job]));
  for (const job of jobs) {
    if (job.index <= options.count && tasks.get(job.index) === job) await keep(job);
    else if (job.state === 'PENDING') await slurm.cancel(job.id);
    else drain(workers.get(job.worker_id));
  }
  const wanted = Array.from({ length: options.count }, (_, at) => at + 1);
  const missing = wanted.filter((index) => !tasks.has(index) && !refused.has(index));
  if (missing.length > 0) await submit(missing);
  const known = [...workers.values()].filter(({ state }) => state !== 'new');
  if (isComplete) await publish(known, options);
}

async function submit(tasks) {
  const variables = [`RBEES_CALLBACK_URL=${url}/ready`, `RBEES_ENV_FILE=${options.tokenFile}`];
  const job = await slurm.submit(options.script, tasks, { options: options.sbatchOptions, variables });
  if (job) say('pool.submitted', { job, tasks });
}

const list = () => [...workers.values()];
const url = await receiveCallbacks(options, {
  onReady,
  onRefused: (message) => say('pool.callback_refused', { message }),
  list,
  drain: (index) => drain(list().find((worker) => worker.index === index && worker.state === 'ready')),
});
say('pool.listening', { url });
for (;;) {
  pause = new AbortController();
  await look().catch(({ message }) => say('pool.failed', { message }));
  await sleep(PAUSE_MS);
  await sleep(options.pollMs, undefined, { signal: pause.signal }).catch(() => undefined);
}
