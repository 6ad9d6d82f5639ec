/** The time from a cancel to a free slot. */
import { execute, freshPrompt, goal, job, post, quantile, quantiles, rounds, section, table } from './measure.mjs';
import { workerFlags } from './models.mjs';
import { startWorker } from './processes.mjs';

const PROMPT = 2000;
const GOAL_MS = 100;
/** More tokens than a trial can produce. */
const ENDLESS = 2000;
const SHARES = [0.5, 0.95, 1];

/** The cancelled jobs, their number and times, spread so that they fall anywhere within a step. */
const WHEN = {
  decode: {
    trials: 25,
    body: () => job(freshPrompt(32), ENDLESS),
    after: 'token',
    delay: (trial) => 50 + ((trial * 37) % 100),
  },
  prefill: {
    trials: 15,
    body: () => job(freshPrompt(PROMPT), 1),
    after: 'started',
    delay: (trial) => 50 + ((trial * 149) % 500),
  },
};

export async function cancelLatency() {
  const worker = await startWorker([...workerFlags('q4'), '--slots', '1', '--context', '2304']);
  const rows = [];
  const goals = [];
  const step = { decode: await decodeStep(worker.url), prefill: await prefillStep(worker.url) };
  for (const [name, when] of Object.entries(WHEN)) {
    const trials = [];
    for (let trial = 0; trial < rounds(when.trials); trial += 1) trials.push(await cancelOne(worker.url, when, trial));
    const reported = trials.map(({ reportedMs }) => reportedMs);
    const free = trials.map(({ freeMs }) => freeMs);
    const most = Math.max(GOAL_MS, Math.round(step[name]));
    rows.push([
      `${name}, ${trials.length} times`,
      step[name].toFixed(1),
      quantiles(reported, SHARES, 1),
      quantiles(free, SHARES, 1),
    ]);
    goals.push(
      goal(
        `cancel to slot free during ${name}, p95 of ${trials.length} (a step takes ${step[name].toFixed(0)} ms)`,
        { most, unit: ' ms', digits: 1 },
        [quantile(free, 0.95)],
      ),
    );
  }
  await worker.stop();
  return section(
    'Cancel',
    [
      `q4 135 M, one slot, over HTTP; the cancel hits prompts of 32 tokens during decode, and prompts of ${PROMPT} tokens during prefill. Reported: \`duration_ms\` of the narration \`request.cancelled\`. Slot free: from \`POST /cancel\` until a waiting request reports that it has the slot. A step cannot be stopped in the middle, so the goal is ${GOAL_MS} ms, or one step where a step is longer (the longest of an undisturbed request).`,
      table(
        ['cancelled during', 'one step, ms', 'reported p50 / p95 / longest, ms', 'slot free p50 / p95 / longest, ms'],
        rows,
      ),
    ],
    goals,
  );
}

/** The median time of a token. */
async function decodeStep(url) {
  const at = [];
  await execute(url, job(freshPrompt(32), 32), (type, _, ms) => type === 'token' && at.push(ms));
  return quantile(pauses(at), 0.5);
}

/** The longest time without an event during a prompt. */
async function prefillStep(url) {
  const at = [];
  await execute(url, job(freshPrompt(PROMPT), 1), (type, data, ms) => {
    if (type === 'token' || isNarration(data, 'prefill.progress', 'cache.reset')) at.push(ms);
  });
  return Math.max(...pauses(at));
}

const pauses = (times) => times.slice(1).map((ms, index) => ms - times[index]);

const isNarration = (data, ...events) => events.includes(JSON.parse(data).event);

async function cancelOne(url, { body, after, delay }, trial) {
  const jobId = crypto.randomUUID();
  let reportedMs;
  const running = deferred();
  const cancelled = execute(url, { ...body(), job_id: jobId }, (type, data) => {
    if (type === after) running.resolve();
    if (isNarration(data, 'request.cancelled')) reportedMs = JSON.parse(data).duration_ms;
  });
  await running.promise;
  const queued = deferred();
  let freeAt;
  const next = execute(url, job(freshPrompt(8), 1), (_, data) => {
    if (isNarration(data, 'request.queued')) queued.resolve();
    if (isNarration(data, 'cache.reset')) freeAt ??= performance.now();
  });
  await queued.promise;
  await new Promise((resolve) => setTimeout(resolve, delay(trial)));
  const sent = performance.now();
  await post(`${url}/cancel`, { job_id: jobId });
  await Promise.all([cancelled, next]);
  if (reportedMs === undefined) throw new Error('The job ended before it was cancelled');
  return { reportedMs, freeMs: freeAt - sent };
}

function deferred() {
  const made = {};
  made.promise = new Promise((resolve) => {
    made.resolve = resolve;
  });
  return made;
}
