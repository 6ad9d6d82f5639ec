/**
 * The time for which one token event occupies the event loop of the worker process, by the number of
 * subscribers and connections.
 *
 * Prediction, written before the first measurement. An event costs one write of some 90 bytes to each
 * subscriber of its job: about 15 µs each on this kind of machine. The rest is linear and small: 0.03 ms
 * with 1 subscriber, 0.1 ms with 4, 0.3 ms with 16. Other connections cost nothing while they are silent:
 * 1 000 connections in groups of 16 have the cost of 16, far below the goal of 5 ms.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { setImmediate as turn } from 'node:timers/promises';
import { sseEncoder } from '../dist/http/sse.js';
import { EventLog } from '../dist/jobs/event-log.js';
import { Job } from '../dist/jobs/job.js';
import { goal, ratios, rounds, section, spread, table } from './measure.mjs';

const ROUNDS = 7;
const EVENTS = 200;
const CONNECTIONS = 1000;
const PER_JOB = 16;
const POLICY = { onDisconnect: 'continue', detachMs: 1e9, slowMs: 1e9, logBytes: 256 * 1024 };
/**
 * CPU time of this thread, or of the process where Node has no figure for a thread. Not time on the clock,
 * because the machine is shared.
 */
const cpuUsage = process.threadCpuUsage ?? process.cpuUsage;
const CLIENT = new URL('./subscribers-client.mjs', import.meta.url);

export async function subscribers() {
  const setUps = {
    1: [1],
    4: [4],
    16: [16],
    [CONNECTIONS]: groups(CONNECTIONS),
  };
  const costs = Object.fromEntries(Object.keys(setUps).map((name) => [name, []]));
  for (let round = 0; round < rounds(ROUNDS); round += 1)
    for (const [name, sizes] of Object.entries(setUps)) costs[name].push(await costOf(sizes));
  const [of1, of16, of1000] = [costs[1], costs[16], costs[CONNECTIONS]];
  const rows = Object.entries(costs).map(([name, values]) => [name, setUps[name].length, spread(values, 3)]);
  return section(
    'Cost of an event for its subscribers',
    [
      `CPU time of the event loop per token event: ${EVENTS} events of one job, one at a time, each written to every subscriber of the job over its own connection. The clients are another process. ${CONNECTIONS} connections belong to jobs of ${PER_JOB} subscribers each; only one of the jobs emits.`,
      table(['connections', 'jobs', 'ms per event'], rows),
    ],
    [
      goal(`CPU time of one event with ${CONNECTIONS} connections`, { most: 5, unit: ' ms' }, of1000),
      goal('one event with 16 subscribers, against 1 subscriber (linear)', { most: 16, unit: '×' }, ratios(of16, of1)),
    ],
  );
}

/** Sizes of jobs with `count` subscribers in total, at most 16 each. */
function groups(count) {
  const sizes = Array.from({ length: Math.floor(count / PER_JOB) }, () => PER_JOB);
  return count % PER_JOB === 0 ? sizes : [...sizes, count % PER_JOB];
}

/** Milliseconds of the event loop for one event of the first of several jobs with that many subscribers. */
async function costOf(sizes) {
  const jobs = sizes.map(() => new Job({ correlationId: 'bench' }, new EventLog(sseEncoder('bench')), POLICY));
  const server = createServer({ highWaterMark: 16 * 1024 }, (request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' }).flushHeaders();
    jobs[Number(request.url.slice(1))].subscribers.add(0, response).pipe(response);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const client = fork(CLIENT, [String(server.address().port), sizes.join()], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  await once(client, 'message');
  const emit = async (count) => {
    for (let i = 0; i < count; i += 1) {
      jobs[0].log.emit({ type: 'token', t: ' morning', i });
      await turn();
      await turn();
    }
  };
  await emit(EVENTS);
  const before = cpuUsage();
  await emit(EVENTS);
  const { user, system } = cpuUsage(before);
  const cost = (user + system) / 1000 / EVENTS;
  client.kill();
  server.closeAllConnections();
  await once(server.close(), 'close');
  return cost;
}
