/**
 * A rolling restart under load, with the examples: a pool-manager, four workers, an orchestrator and sixteen users.
 * Counts the requests that fail as a user sees it.
 *
 * Prediction, written before the first measurement: no request fails, because a worker is out of the table of the
 * orchestrator before it drains, and because it finishes its streams. A few requests may be refused or reset in the
 * last moment, and are sent elsewhere.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { goal, post, quantile, rounds, section, table } from './measure.mjs';
import { startExample } from './processes.mjs';

const ROUNDS = 3;
const WORKERS = 4;
const USERS = 16;
const TOKENS = 200;

export async function rollingRestart() {
  const manager = await startExample('pool-manager', [String(WORKERS), '0']);
  const orchestrator = await startExample('orchestrator', [manager.url, '0']);
  while ((await endpoints(manager)).length < WORKERS) await sleep(50);
  const results = [];
  for (let round = 0; round < rounds(ROUNDS); round += 1) results.push(await roll(manager, orchestrator));
  await orchestrator.stop();
  await manager.stop();
  const rows = results.map(({ requests, failed, took, helped, seconds, replaced }, round) => [
    round + 1,
    replaced,
    seconds.toFixed(1),
    requests,
    failed,
    helped.refused,
    helped.resumed,
    helped.continued,
    `${quantile(took, 0.5).toFixed(0)} / ${Math.max(...took).toFixed(0)}`,
  ]);
  const head = [
    'roll',
    'workers replaced',
    's',
    'requests',
    'failed',
    'refused',
    'resumed',
    'continued',
    'p50 / max ms',
  ];
  return section(
    'Rolling restart',
    [
      `The [examples](../examples/README.md): a pool-manager with ${WORKERS} workers, an orchestrator, and ${USERS} users who send their next request when their last one has ended, ${TOKENS} tokens each. The workers are replaced one after the other, and each user sends at least one more request afterwards. A request has failed if the user does not receive \`end\` with all tokens. Refused: answers of workers that the orchestrator absorbed. Resumed: connections that it opened again for the rest of a stream. Continued: streams that another worker finished.`,
      table(head, rows),
    ],
    [
      goal(
        `requests that fail in a rolling restart of ${WORKERS} workers under ${USERS} users`,
        { most: 0, digits: 0 },
        results.map(({ failed }) => failed),
      ),
    ],
  );
}

/** One rolling restart under load. */
async function roll(manager, orchestrator) {
  const [before, counted] = [await endpoints(manager), await counts(orchestrator)];
  const result = { requests: 0, failed: 0, took: [] };
  let rolling = true;
  const user = async () => {
    for (let last = false; !last; ) {
      last = !rolling;
      const began = performance.now();
      if (!(await isComplete(orchestrator))) result.failed += 1;
      result.requests += 1;
      result.took.push(performance.now() - began);
    }
  };
  const users = Promise.all(Array.from({ length: USERS }, user));
  const began = performance.now();
  await post(`${manager.url}/roll`, {});
  const seconds = (performance.now() - began) / 1000;
  rolling = false;
  await users;
  const [after, now] = [await endpoints(manager), await counts(orchestrator)];
  const kept = after.filter(({ instance_id }) => before.some((one) => one.instance_id === instance_id));
  if (after.length !== WORKERS || kept.length > 0)
    throw new Error(`The roll is not complete: ${JSON.stringify(after)}`);
  const helped = Object.fromEntries(Object.entries(now).map(([name, count]) => [name, count - counted[name]]));
  return { ...result, helped, seconds, replaced: after.length };
}

/** True if a task ends with all its tokens. */
async function isComplete(orchestrator) {
  let end;
  const body = { prompt: 'Write a haiku about the sea', temperature: 1, min_tokens: TOKENS, max_tokens: TOKENS };
  const take = (type, data) => {
    if (type === 'end') end = JSON.parse(data);
  };
  await post(`${orchestrator.url}/tasks`, body, take).catch(() => undefined);
  return end?.tokens_out === TOKENS;
}

const endpoints = async ({ url }) => (await fetch(`${url}/endpoints`)).json();
const counts = async ({ url }) => (await fetch(`${url}/counts`)).json();
