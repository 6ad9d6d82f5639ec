/**
 * A small orchestrator: gives the tasks of its callers to the workers of a pool-manager, and streams the
 * answers back. A caller sees no failure while a worker is left: the orchestrator reads on where a connection
 * broke, and begins a lost job again on another worker with the same seed, without the characters already sent.
 *
 *   node examples/orchestrator.mjs [pool-manager=http://127.0.0.1:9100] [port=9200] [seconds of silence=30]
 *   curl -N http://127.0.0.1:9200/tasks -d '{"prompt": "Write a haiku about the sea"}'
 *
 * A task is a body of `POST /execute` without `job_id`. `GET /counts` counts troubles that no caller has seen.
 */
import { randomInt, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

const [manager = 'http://127.0.0.1:9100', port = '9200', silence = '30'] = process.argv.slice(2);
const POLL_MS = 250;
/** Time for the answer to a probe. A worker without an answer is chosen last. */
const PROBE_MS = 500;
/** A worker that is silent for longer is lost: two intervals of `--sse-heartbeat` (15 s). */
const SILENCE_MS = Number(silence) * 1000;
/** A task that fails for this long without a new character ends. */
const GIVE_UP_MS = 120_000;
const counts = { refused: 0, resumed: 0, restarted: 0, failed: 0 };
/** The table of the pool-manager by instance id: url, state, own and reported load. */
const workers = new Map();
const at = (ms) => AbortSignal.timeout(ms);

async function readTable() {
  const listed = await (await fetch(`${manager}/endpoints`, { signal: at(2 * PROBE_MS) })).json();
  for (const id of workers.keys()) if (!listed.some(({ instance_id }) => instance_id === id)) workers.delete(id);
  for (const { instance_id: id, url } of listed)
    if (!workers.has(id)) workers.set(id, { url, state: 'up', own: 0, seen: 0, slots: 0 });
}

async function probe(worker) {
  try {
    const answer = await fetch(`${worker.url}/health`, { signal: at(PROBE_MS) });
    const { slots, queue } = await answer.json();
    // 503: the worker loads, drains, or has no engine that answers.
    Object.assign(worker, { state: answer.ok ? 'up' : 'refuses', seen: slots.busy + queue.length, slots: slots.total });
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

/** Waits for an answer or for bytes of a worker. Aborts `silent` if none arrives for too long. */
function heard(promise, silent) {
  const timer = setTimeout(() => silent.abort(), SILENCE_MS);
  return promise.finally(() => clearTimeout(timer));
}

/** The events of a stream. Throws if the connection breaks, or if the worker is silent. */
async function* eventsOf({ body }, silent) {
  const [reader, decoder] = [body.getReader(), new TextDecoder()];
  for (let rest = ''; ; ) {
    const { done, value } = await heard(reader.read(), silent);
    if (done) return;
    const blocks = (rest + decoder.decode(value, { stream: true })).split('\n\n');
    rest = blocks.pop();
    for (const block of blocks) {
      const { id, data } = Object.fromEntries(block.split('\n').map((line) => line.split(/: (.*)/s, 2)));
      if (data !== undefined) yield { id, data: JSON.parse(data) };
    }
  }
}

/** What an error of a worker asks for. Without `retry` (version 1 of the worker), `retriable` decides. */
function failureOf(error, status = 503, retryAfter = 0) {
  const { retry = error.retriable ? 'elsewhere' : 'never', details } = error;
  return { retry, waitMs: details?.retry_after_ms ?? retryAfter * 1000, status, error };
}
const GONE = failureOf({ code: 'WORKER_GONE', message: 'The worker does not answer.', retriable: true });
const NOBODY = failureOf({ code: 'NO_WORKER', message: 'No worker is ready.', retriable: true });
const DIVERGED = failureOf({ code: 'DIVERGED', message: 'The next worker generated another text.', retriable: false });

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
async function tryOn(worker, task, jobId) {
  const cancel = () => fetch(`${worker.url}/cancel`, post({ job_id: jobId })).catch(() => undefined);
  for (let [text, lastId, before] = ['', undefined, '']; lastId !== before && !task.left.aborted; ) {
    const silent = new AbortController();
    const signal = AbortSignal.any([task.left, silent.signal]);
    before = lastId;
    try {
      const asked =
        lastId === undefined
          ? fetch(`${worker.url}/execute`, { ...post({ ...task.body, job_id: jobId }, task.headers), signal })
          : fetch(`${worker.url}/jobs/${jobId}/events`, { headers: { 'Last-Event-ID': lastId }, signal });
      const answer = await heard(asked, silent);
      const { headers, status } = answer;
      // Each answer is a sample of the load, fresher than that of the last probe.
      const free = headers.get('x-worker-slots-free');
      if (free !== null) worker.seen = worker.slots - free + Number(headers.get('x-worker-queue'));
      if (!headers.get('content-type')?.startsWith('text/event-stream')) {
        if (lastId !== undefined) break; // The worker no longer has the job.
        counts.refused += 1;
        return failureOf((await answer.json()).error, status, headers.get('retry-after'));
      }
      if (lastId !== undefined) counts.resumed += 1;
      for await (const { id, data } of eventsOf(answer, silent)) {
        lastId = id;
        if (data.type === 'error') return failureOf(data);
        if (data.type === 'token') text += data.t;
        if (!text.startsWith(task.sent) && !task.sent.startsWith(text)) {
          cancel();
          return DIVERGED;
        }
        await pass(task, data, text);
        if (data.type === 'end') return undefined;
      }
    } catch {} // The connection broke. If it has brought an event, the next one reads on behind that event.
    if (silent.signal.aborted) break;
  }
  if (task.sent !== '' && !task.left.aborted) counts.restarted += 1;
  cancel(); // if the job still runs there
  return GONE;
}
const post = (body, headers = {}) => ({
  method: 'POST',
  headers: { 'Content-Type': 'application/json', ...headers },
  body: JSON.stringify(body),
});

/** Writes an event to the caller: `started` once, and of a token the characters that were not sent before. */
async function pass(task, data, text) {
  if (data.type === 'started' && task.events > 0) return;
  if (data.type === 'token' && text.length <= task.sent.length) return;
  const event = data.type === 'token' ? { ...data, t: text.slice(task.sent.length), i: task.tokens++ } : data;
  if (data.type === 'token') Object.assign(task, { sent: text, failingSince: 0 });
  if (task.events === 0) task.response.writeHead(200, { 'Content-Type': 'text/event-stream' });
  const frame = `id: ${task.events++}\nevent: ${data.type}\ndata: ${JSON.stringify(event)}\n\n`;
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
  const passed = ['x-correlation-id', 'x-deadline', 'traceparent'].filter((name) => name in request.headers);
  const headers = Object.fromEntries(passed.map((name) => [name, request.headers[name]]));
  // The seed is drawn here, so that a second worker generates the text of the first.
  const body = { seed: randomInt(2 ** 47), ...(await json(request)), on_disconnect: 'continue' };
  const [id, left] = [randomUUID(), leaving.signal];
  return { id, body, headers, response, left, sent: '', tokens: 0, events: 0, failingSince: 0 };
}

const server = createServer((request, response) => {
  const route = `${request.method} ${request.url}`;
  if (route === 'POST /tasks') accept(request, response).then(run, () => response.writeHead(400).end());
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
