/**
 * A small orchestrator: gives the tasks of its callers to the workers of a pool-manager, and streams the
 * answers back. A caller sees no failure while a worker is left: the orchestrator reads on where a connection
 * broke, and goes on with the answer of a lost worker on another one, from the ids of its tokens.
 *
 *   node examples/fleet/orchestrator.mjs [pool-manager=http://127.0.0.1:9100] [port=9200] [seconds of silence=30]
 *   curl -N http://127.0.0.1:9200/tasks -d '{"prompt": "Write a haiku about the sea"}'
 *
 * A task is a body of `POST /execute` without `job_id` and without `resume`. `GET /counts` counts troubles that no
 * caller has seen.
 */
import { randomInt, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConnectionError, DivergedError, RefusedError, WorkerClient } from 'rbees-workerd/client';

const [manager = 'http://127.0.0.1:9100', port = '9200', silence = '30'] = process.argv.slice(2);
const POLL_MS = 250;
/** Time for the answer to a probe. A worker without an answer is chosen last. */
const PROBE_MS = 500;
/** A worker that is silent for longer is lost: two intervals of `--sse-heartbeat` (15 s). */
const SILENCE_MS = Number(silence) * 1000;
/** A worker whose broken stream cannot be resumed in this time is lost: the answer goes on elsewhere. */
const RESUME_MS = 250;
/** A task that fails for this long without a new character ends. */
const GIVE_UP_MS = 120_000;
const counts = { refused: 0, resumed: 0, continued: 0, failed: 0 };
/** The table of the pool-manager by instance id: url, state, own and reported load. */
const workers = new Map();
const at = (ms) => AbortSignal.timeout(ms);

async function readTable() {
  const listed = await (await fetch(`${manager}/endpoints`, { signal: at(2 * PROBE_MS) })).json();
  for (const id of workers.keys()) if (!listed.some(({ instance_id }) => instance_id === id)) workers.delete(id);
  for (const { instance_id: id, url } of listed) if (!workers.has(id)) workers.set(id, workerAt(url));
}

function workerAt(url) {
  const worker = { url, state: 'up', own: 0, seen: 0, slots: 0 };
  const watched = async (...call) => {
    const answer = await fetch(...call);
    // Each answer is a sample of the load, fresher than that of the last probe.
    const free = answer.headers.get('x-worker-slots-free');
    if (free !== null) worker.seen = worker.slots - free + Number(answer.headers.get('x-worker-queue'));
    if (answer.ok && String(call[0]).includes('/jobs/')) counts.resumed += 1;
    return answer;
  };
  worker.client = new WorkerClient({ url, fetch: watched });
  return worker;
}

async function probe(worker) {
  try {
    const { status, slots, queue } = await worker.client.health(at(PROBE_MS));
    // Others load, drain, or have no engine that answers.
    const state = status === 'healthy' ? 'up' : 'refuses';
    Object.assign(worker, { state, seen: slots.busy + queue.length, slots: slots.total });
  } catch {
    worker.state = 'late';
  }
}

/** The worker with the least load: the greater of the own count and of the figure that the worker reports. */
function choose(avoided) {
  const load = ({ state, own, seen }) => (state === 'late' ? 1e6 : 0) + Math.max(own, seen);
  const fit = [...workers.values()].filter((worker) => worker.state !== 'refuses' && !avoided.has(worker));
  return fit.sort((a, b) => load(a) - load(b))[0];
}

/** The consequence of an error of a worker: where to retry, and when. */
function failureOf({ code, message, retriable = true, retry, retryAfterMs = 0, status = 503 }) {
  return { retry, waitMs: retryAfterMs, status, error: { code, message, retriable, retry } };
}
const GONE = failureOf({ code: 'WORKER_GONE', message: 'The worker does not answer.', retry: 'elsewhere' });
const NOBODY = failureOf({ code: 'NO_WORKER', message: 'No worker is ready.', retry: 'elsewhere' });

/** Tries workers until one has finished the task, an error is final, or the task has failed for too long. */
async function run(task) {
  const avoided = new Set();
  for (let attempt = 1; !task.left.aborted; attempt += 1) {
    const worker = choose(avoided);
    if (worker) worker.own += 1;
    const failure = worker ? await tryOn(worker, task, `${task.id}-${attempt}`).finally(() => worker.own--) : NOBODY;
    if (!failure) return task.response.end();
    task.failingSince ||= performance.now();
    if (failure.retry === 'never' || performance.now() - task.failingSince > GIVE_UP_MS) return fail(task, failure);
    if (worker && failure.retry === 'elsewhere') avoided.add(worker);
    else await sleep(Math.max(failure.waitMs, POLL_MS) * (1 + Math.random() / 4)); // jitter: not all tasks at once
    if (!worker) avoided.clear();
  }
}

/** Runs one job, over as many connections as it takes. Returns its failure, or undefined at its end. */
async function tryOn({ client }, task, jobId) {
  const limits = { silenceMs: SILENCE_MS, resumeForMs: RESUME_MS, signal: task.left };
  const { body, options, continuation } = task;
  const run = client.execute({ ...body, job_id: jobId }, { ...limits, ...options, continuation });
  try {
    for await (const event of run) {
      if (event.type === 'error') return failureOf(event);
      await pass(task, event);
    }
    return undefined;
  } catch (error) {
    if (error instanceof DivergedError) return failureOf({ ...error, message: error.message, retriable: false });
    if (task.left.aborted) return GONE;
    if (error instanceof RefusedError) {
      counts.refused += 1;
      return failureOf(error);
    }
    if (!(error instanceof ConnectionError)) throw error;
    // The worker is lost, or no longer has the job. If the job still runs there, it is not needed.
    if (run.continuation?.index > 0) counts.continued += 1;
    run.cancel().catch(() => undefined);
    return GONE;
  } finally {
    // The next worker goes on from here.
    task.continuation = run.continuation;
  }
}

/** Writes an event to the caller, `started` once. */
async function pass(task, event) {
  if (event.type === 'started' && task.events > 0) return;
  if (event.type === 'token') task.failingSince = 0;
  if (task.events === 0) task.response.writeHead(200, { 'Content-Type': 'text/event-stream' });
  const frame = `id: ${task.events++}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
  if (!task.response.write(frame)) await once(task.response, 'drain', { signal: task.left });
}

/** Ends a task with the error of a worker: in JSON before the first event, as the last event after it. */
function fail({ response, events }, { status, error }) {
  counts.failed += 1;
  if (events > 0) return response.end(`event: error\ndata: ${JSON.stringify({ type: 'error', ...error })}\n\n`);
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify({ error }));
}

async function accept(request, response) {
  const leaving = new AbortController();
  response.once('close', () => leaving.abort());
  const { 'x-correlation-id': correlationId, ...given } = request.headers;
  const passed = ['x-deadline', 'traceparent'].filter((name) => name in given);
  const options = { correlationId, headers: Object.fromEntries(passed.map((name) => [name, given[name]])) };
  // The seed is drawn here, so that a second worker draws the tokens of the first, even if the first told nothing.
  const body = { seed: randomInt(2 ** 47), ...(await json(request)), ids: true };
  if (body.resume) throw new Error('The orchestrator itself goes on with a lost answer.');
  return { id: randomUUID(), body, options, response, left: leaving.signal, events: 0, failingSince: 0 };
}

function refuse(response, { message }) {
  const error = { code: 'INVALID_REQUEST', message, retriable: false, retry: 'never' };
  response.writeHead(400, { 'Content-Type': 'application/json' }).end(JSON.stringify({ error }));
}

const server = createServer((request, response) => {
  const route = `${request.method} ${request.url}`;
  if (route === 'POST /tasks') accept(request, response).then(run, (error) => refuse(response, error));
  else if (route === 'GET /counts') response.end(JSON.stringify(counts));
  else response.writeHead(404).end();
});
await once(server.listen(Number(port), '127.0.0.1'), 'listening');
const url = `http://127.0.0.1:${server.address().port}`;
process.stdout.write(`${JSON.stringify({ event: 'orchestrator.listening', url })}\n`);
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => server.close(() => process.exit(0)));
for (;;) {
  await readTable().catch(() => undefined); // Without the pool-manager, the last table counts.
  await Promise.all([...workers.values()].map(probe));
  await sleep(POLL_MS);
}
