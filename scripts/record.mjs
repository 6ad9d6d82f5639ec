/**
 * Records real exchanges with the built worker into test/recordings: each is one request, its whole answer, and the lines of
 * stdout that carry its correlation id. They are the examples of openapi.yaml, and a test holds them to that contract.
 * What differs from run to run (times, ids of processes, durations) stays as it was.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('../test/recordings/', import.meta.url));
const CLI = fileURLToPath(new URL('../dist/cli.js', import.meta.url));
const TOKEN = 'not-a-real-token';
const TRACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const TOLD_HEADERS = [
  'content-type',
  'x-correlation-id',
  'traceparent',
  'cache-control',
  'x-accel-buffering',
  'retry-after',
  'www-authenticate',
];
const JSON_BODY = { 'Content-Type': 'application/json' };
const SSE = { Accept: 'text/event-stream' };
/** A job that is still running when the next requests come. */
const LONG = { prompt: 'Write about the sea', min_tokens: 480 };

const recordings = new Map();

await recordService();
await recordFullWorker();
await recordGuarded();
write();

/** A worker from its start to its end. */
async function recordService() {
  const worker = await start();
  const starting = [
    worker.record('health-starting', 'While the model is loading', 'GET', '/health'),
    worker.record('ready-loading', 'While the model is loading', 'GET', '/ready'),
    worker.record('execute-loading', 'A job while the model is loading', 'POST', '/execute', {
      job_id: 'job-1',
      ...LONG,
    }),
  ];
  expectStatuses(await Promise.all(starting), 503);
  await worker.ready();
  await recordProbes(worker);
  await recordJobs(worker);
  await recordReplays(worker);
  await recordRefusals(worker);
  await worker.record('not-found', 'A path that leads nowhere', 'GET', '/nowhere');
  await worker.record('metrics', 'Some of the lines', 'GET', '/metrics');
  await recordCancel(worker);
  await recordEarlyCancel(worker);
  await recordShutdown(worker);
}

async function recordProbes(worker) {
  await worker.record('health-healthy', 'The model is loaded', 'GET', '/health');
  await worker.record('live', 'The process answers', 'GET', '/live');
  await worker.record('ready', 'A job would be accepted', 'GET', '/ready');
}

async function recordJobs(worker) {
  const prompt = 'Write a haiku about the sea';
  const execute = (name, about, body, headers) => worker.record(name, about, 'POST', '/execute', body, headers);
  await execute(
    'execute-seed-42',
    'A haiku with seed 42',
    { job_id: 'job-2', prompt, seed: 42 },
    { traceparent: TRACE },
  );
  await execute('execute-logprobs', 'The three likeliest tokens at each place, greedy', {
    job_id: 'job-3',
    prompt,
    temperature: 0,
    max_tokens: 4,
    logprobs: 3,
  });
  await execute('execute-stop-string', 'A conversation, ended by a stop string after one line', {
    job_id: 'job-4',
    messages: [{ role: 'user', content: prompt }],
    seed: 42,
    stop: ['\n'],
  });
  await execute('execute-unknown-field', 'A misspelt field is ignored, and named', {
    job_id: 'job-5',
    prompt,
    seed: 42,
    max_token: 5,
    max_tokens: 5,
  });
  await execute('execute-timeout', 'A job that is given 30 ms', { job_id: 'job-6', ...LONG, timeout_ms: 30 });
}

/** Whoever comes back to a stream would send the same correlation id again. */
async function recordReplays(worker) {
  const again = (name, about, query = '', headers = {}) =>
    worker.record(name, about, 'GET', `/jobs/job-18/events${query}`, undefined, headers);
  const body = { job_id: 'job-18', prompt: 'Write a haiku about the sea', seed: 42, stop: ['\n'] };
  const stream = await worker.begin(body, { 'X-Correlation-Id': 'req-events-replayed' });
  await stream.text();
  await again('events-replayed', 'A stream that is over, after its event 4', '?after=4');
  await again('events-over', 'The reader has had everything', '?after=1000');
  await again('events-invalid', 'No number', '?after=last');
  await again('events-foreign-page', 'A browser, on behalf of a page of another site', '', {
    'Sec-Fetch-Site': 'cross-site',
  });
  await worker.record('events-unknown', 'An id that was never here', 'GET', '/jobs/job-unknown/events');
}

async function recordRefusals(worker) {
  const execute = (name, about, body, headers) => worker.record(name, about, 'POST', '/execute', body, headers);
  const wrong = { job_id: 'job-7', temperature: 3, max_tokens: 0 };
  await execute('execute-invalid-json', 'Three broken rules, as JSON', wrong);
  await execute('execute-invalid-sse', 'Three broken rules, as a stream', wrong, SSE);
  await execute('execute-malformed-json', 'A body that is not JSON', '{"job_id": "job-8", ');
  await execute('execute-not-json', 'A body of another type', 'Write a haiku', { 'Content-Type': 'text/plain' });
  await execute(
    'execute-foreign-page',
    'A browser, on behalf of a page of another site',
    { job_id: 'job-13', prompt: 'Write a haiku' },
    { Origin: 'https://other.example' },
  );
  await execute('execute-prompt-too-long', 'More tokens than the context has', {
    job_id: 'job-9',
    prompt: 'sea '.repeat(600),
  });
  await worker.record('events-gone', 'A job that was refused', 'GET', '/jobs/job-9/events');
  await execute(
    'execute-deadline-past',
    'A deadline that has passed',
    { job_id: 'job-10', ...LONG },
    {
      'X-Deadline': '2026-01-31T12:00:00Z',
    },
  );
  const running = await worker.begin({ job_id: 'job-11', ...LONG });
  await execute('execute-duplicate', 'The id of a job in flight', { job_id: 'job-11', ...LONG });
  await recordFullJob(worker, 'job-11');
  await worker.send('POST', '/cancel', { job_id: 'job-11' });
  await running.text();
  await worker.record('cancel-unknown', 'An id that was never here', 'POST', '/cancel', { job_id: 'job-unknown' });
  await worker.record('cancel-invalid', 'No id at all', 'POST', '/cancel', {});
}

/** A running job with one reader gets 15 more, which is the maximum; the next one is refused. */
async function recordFullJob(worker, id) {
  const path = `/jobs/${id}/events`;
  const readers = await Promise.all(Array.from({ length: 15 }, () => worker.send('GET', path)));
  await worker.record('events-full', 'A job that has 16 readers', 'GET', path);
  await Promise.all(readers.map(({ body }) => body.cancel()));
}

async function recordCancel(worker) {
  const stream = worker.record('execute-cancelled', 'A job that is cancelled while it runs', 'POST', '/execute', {
    job_id: 'job-12',
    ...LONG,
    seed: 42,
  });
  await worker.line((line) => line.event === 'tokens.progress' && line.job_id === 'job-12');
  await worker.record('cancel-running', 'A job that runs', 'POST', '/cancel', { job_id: 'job-12' });
  await stream;
  await worker.record('cancel-finished', 'A job that is over', 'POST', '/cancel', { job_id: 'job-12' });
}

/** The stream begins once the prompt is read. Cancelling before that needs a long one, and luck. */
async function recordEarlyCancel(worker) {
  const body = { job_id: 'job-early', prompt: 'sea wind '.repeat(1500) };
  for (let tries = 0; tries < 50; tries += 1) {
    const answer = worker.record(
      'execute-cancelled-early',
      'A job that is cancelled while its prompt is read',
      'POST',
      '/execute',
      body,
    );
    while ((await worker.send('POST', '/cancel', { job_id: 'job-early' })).status === 404);
    if ((await answer).status === 499) return;
  }
  throw new Error('no job could be cancelled before its stream began: record again');
}

async function recordShutdown(worker) {
  const running = await worker.begin({ job_id: 'job-13', ...LONG });
  await worker.record('shutdown', 'The first call', 'POST', '/shutdown');
  await worker.line((line) => line.event === 'worker.draining');
  const draining = [
    worker.record('shutdown-again', 'The second call', 'POST', '/shutdown'),
    worker.record('execute-draining', 'A job while the worker drains', 'POST', '/execute', {
      job_id: 'job-14',
      ...LONG,
    }),
    worker.record('health-draining', 'While the worker drains', 'GET', '/health'),
    worker.record('ready-draining', 'While the worker drains', 'GET', '/ready'),
  ];
  expectStatuses(await Promise.all(draining), 503);
  await running.text();
  await worker.ended();
}

/** One slot and no queue: the second job does not fit. */
async function recordFullWorker() {
  const worker = await start('--slots', '1', '--queue', '0');
  await worker.ready();
  const running = await worker.begin({ job_id: 'job-15', ...LONG });
  await worker.line((line) => line.event === 'tokens.progress' && line.job_id === 'job-15');
  await worker.record('execute-busy', 'The slot is taken and the queue is full', 'POST', '/execute', {
    job_id: 'job-16',
    ...LONG,
  });
  await worker.send('POST', '/cancel', { job_id: 'job-15' });
  await running.text();
  await worker.stop();
}

async function recordGuarded() {
  const worker = await start('--api-token', TOKEN);
  await worker.ready();
  const body = { job_id: 'job-17', prompt: 'Hello' };
  await worker.record('execute-unauthorized', 'No bearer token', 'POST', '/execute', body);
  await worker.stop();
}

/** Starts a worker and waits until it listens. */
async function start(...args) {
  const child = spawn(process.execPath, [CLI, '--worker-id', 'worker-gpu0-r1', '--port', '0', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = [];
  const reader = createInterface({ input: child.stdout }).on('line', (text) => lines.push(JSON.parse(text)));
  const ended = once(child, 'exit');
  const line = async (fits) => {
    while (!lines.some(fits)) await once(reader, 'line', { signal: AbortSignal.timeout(20_000) });
    return lines.find(fits);
  };
  const { url } = await line(({ event }) => event === 'server.bound');

  const send = (method, path, body, headers = {}) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    return fetch(url + path, { method, headers, ...(text !== undefined && { body: text }) });
  };
  return {
    line,
    send: (method, path, body) => send(method, path, body, JSON_BODY),
    ended: () => ended,
    stop: () => child.kill() && ended,
    async ready() {
      while ((await send('GET', '/ready')).status !== 200) await sleep(5);
    },
    /** A job whose stream has begun. */
    begin: (body, more = {}) => send('POST', '/execute', body, { ...JSON_BODY, ...more }),
    async record(name, about, method, path, body, more = {}) {
      const id = `req-${name}`;
      const headers = { 'X-Correlation-Id': id, ...(body !== undefined && JSON_BODY), ...more };
      const before = lines.length;
      const answer = await send(method, path, body, headers);
      const text = await answer.text();
      const told = TOLD_HEADERS.map((header) => [header, answer.headers.get(header)]).filter(
        ([, value]) => value !== null,
      );
      const response = {
        status: answer.status,
        headers: Object.fromEntries(told),
        body: path === '/metrics' ? ours(text) : text,
      };
      const log = () => lines.slice(before).filter(({ correlation_id }) => correlation_id === id);
      recordings.set(name, {
        about,
        request: { method, path, headers, ...(body !== undefined && { body }) },
        response,
        log,
      });
      return answer;
    },
  };
}

/** The worker's own metrics without Node's, and of the histograms only sum and count. */
function ours(metrics) {
  const groups = metrics.split('\n\n').filter((group) => group.startsWith('# HELP worker_'));
  return `${groups.map((group) => group.replace(/^\w+_bucket.*\n/gm, '')).join('\n\n')}\n`;
}

function expectStatuses(answers, wanted) {
  const other = answers.find(({ status }) => status !== wanted);
  if (other) throw new Error(`${other.url} answered ${other.status} instead of ${wanted}: record again`);
}

function write() {
  mkdirSync(FOLDER, { recursive: true });
  for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.json'))) rmSync(FOLDER + file);
  for (const [name, { log, ...exchange }] of recordings) {
    writeFileSync(`${FOLDER}${name}.json`, `${JSON.stringify({ name, ...exchange, log: log() }, null, 2)}\n`);
  }
  process.stdout.write(`${recordings.size} recordings in test/recordings\n`);
}
