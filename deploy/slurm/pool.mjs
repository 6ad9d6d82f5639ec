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
import { probe } from './probe.mjs';
import { publish } from './routers.mjs';
import { Slurm } from './slurm.mjs';

/**
 * Time for routers to follow before a drain, time for callbacks to an earlier pool, shortest time between
 * polls.
 */
const [GRACE_MS, ADOPTION_MS, PAUSE_MS] = [1000, 10_000, 200];
const BEGAN = Date.now();
/** Workers that have reported, by worker id. A worker id names one start of one task. */
const workers = new Map();
/** Worker ids: asked for a callback, and taken from the routers for a drain. */
const [asked, leaving] = [new Set(), new Set()];
/** Workers whose drain begins after the next change of the routers. */
const due = new Set();
/** Tasks whose last worker has served, so that the next may start at once; tasks with wrong settings. */
const [served, refused] = [new Set(), new Set()];
let pause = new AbortController();

const say = (event, fields) => void process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);
const slurm = new Slurm(options.name, (message) => say('pool.slurm_failed', { message }));

function onReady(worker) {
  const known = workers.get(worker.worker_id);
  workers.set(worker.worker_id, { state: 'new', answeredAt: Date.now(), ...known, ...worker });
  say('pool.worker_ready', { worker_id: worker.worker_id, url: worker.url });
  pause.abort();
}

/** Drops workers whose jobs have ended, reads the states of the others, and replaces the silent ones. */
async function check(reported, stateOf) {
  for (const { worker_id, index } of reported) {
    const job_state = stateOf({ worker_id });
    // `scancel` makes a job COMPLETING at once: its worker drains.
    if (job_state === 'COMPLETING') leaving.add(worker_id);
    if (/^(?:RUNNING|COMPLETING)$/.test(job_state)) continue;
    workers.delete(worker_id);
    for (const ids of [asked, leaving]) ids.delete(worker_id);
    served.add(index);
    say('pool.worker_gone', { worker_id, job_state });
  }
  const alive = reported.filter(({ worker_id }) => workers.has(worker_id));
  for (const worker of alive) if (leaving.has(worker.worker_id)) worker.state = 'drain';
  await probe(alive, leaving);
  const isSilent = ({ answeredAt }) => Date.now() - answeredAt > options.deadAfterMs;
  const silent = alive.filter((worker) => stateOf(worker) === 'RUNNING' && isSilent(worker));
  // If most of the workers are silent, the network of the pool is the reason.
  if (silent.length > 1 && silent.length > alive.length / 2) return say('pool.unreachable', { workers: silent.length });
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
  const { worker_id } = Object.assign(worker, { state: 'drain' });
  leaving.add(worker_id);
  due.add(worker);
  say('pool.worker_drains', { worker_id });
  pause.abort();
  return true;
}

/** Changes the routers, then signals the workers that drain. One that cannot be signalled serves again. */
async function change() {
  const drained = [...due];
  due.clear();
  await publish(
    [...workers.values()].filter(({ state }) => state !== 'new'),
    options,
  ).finally(() => {
    for (const { worker_id, id } of drained)
      setTimeout(async () => (await slurm.signal(id, 'TERM')) ?? leaving.delete(worker_id), GRACE_MS);
  });
}

/** Asks the workers of an earlier pool for their callbacks. Returns true if none is awaited. */
async function adopt(jobs) {
  const older = jobs.filter(({ state, startedAt }) => state === 'RUNNING' && startedAt < BEGAN);
  const silent = older.filter(({ worker_id }) => !workers.has(worker_id));
  for (const { id, worker_id } of silent) {
    if (!asked.has(worker_id) && (await slurm.signal(id, 'USR2')) !== undefined) asked.add(worker_id);
  }
  return silent.length === 0 || Date.now() - BEGAN > ADOPTION_MS;
}

async function submit(tasks) {
  const variables = [`RBEES_CALLBACK_URL=${url}/ready`, `RBEES_ENV_FILE=${options.tokenFile}`];
  const job = await slurm.submit(options.script, tasks, { options: options.sbatchOptions, variables });
  if (job) say('pool.submitted', { job, tasks });
}

async function look() {
  const reported = [...workers.values()];
  const jobs = await slurm.jobs();
  if (!jobs) return;
  const states = new Map(jobs.map(({ worker_id, state }) => [worker_id, state]));
  await check(reported, ({ worker_id }) => states.get(worker_id));
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
  if (isComplete) await change();
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
