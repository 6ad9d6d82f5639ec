/**
 * The cost of stalled clients: memory of the worker with 64 of them, and the speed of a client that reads
 * beside them.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask, askAll, decodeRate, freshPrompt, goal, job, ratios, rounds, section, spread, table } from './measure.mjs';
import { canBeNarrow, postNarrow } from './narrow-socket.mjs';
import { metric, startWorker } from './processes.mjs';

const READERS = 64;
const ROUNDS = 5;
/** With 20 log-probabilities per token an output has some 430 kB: more than a client may leave unread. */
const TOKENS = 480;
const PAUSED = 'worker_narration_events_total\\{event="generation.paused"\\}';
/**
 * The memory of a whole output: where a worker is busier than its engine, more tokens are on their way when
 * the worker asks for a pause.
 */
const MOST_KIB_EACH = 1024;

export async function stalledReaders() {
  if (!canBeNarrow)
    return section('Stalled subscribers', ['Measured on Linux only, which has sockets with small buffers.']);
  const worker = await startWorker(['--slots', String(READERS + 1), '--slow-timeout', '600', '--replay-ttl', '1']);
  await askAll(worker.url, Array.from({ length: READERS }, bulky));
  const results = [];
  while (results.length < rounds(ROUNDS)) results.push(await oneRound(worker));
  await worker.stop();
  const of = (name) => results.map((result) => result[name]);
  const each = results.map(({ before, during }) => ((during - before) * 1024) / READERS);
  return section(
    'Stalled subscribers',
    [
      `${READERS} jobs of the embedded model. Their clients send a request and read nothing, over sockets with some 30 kB of kernel buffers. Each output has ${TOKENS} tokens with 20 log-probabilities each, 430 kB in total. All ${READERS} generations pause; then the clients leave. Before the first round as many jobs are read to their end, and before each round the logs of earlier rounds are dropped. Measured: resident memory of the worker process, and decode tokens/s of one more client that reads ${TOKENS} plain tokens, alone and beside the stalled clients.`,
      table(
        ['', 'before', 'all paused', 'after they left'],
        [
          ['resident memory, MiB', spread(of('before')), spread(of('during')), spread(of('after'))],
          ['event logs, MiB', spread(of('logsBefore')), spread(of('logsDuring')), spread(of('logsAfter'))],
          ['decode tokens/s of the client that reads', spread(of('alone'), 0), spread(of('beside'), 0), ''],
        ],
      ),
    ],
    [
      goal('memory of a stalled subscriber', { most: MOST_KIB_EACH, unit: ' KiB', digits: 0 }, each),
      goal(
        `speed beside ${READERS} stalled subscribers, against alone`,
        { least: 0.9, unit: '×' },
        ratios(of('beside'), of('alone')),
      ),
    ],
  );
}

async function oneRound({ url, pid }) {
  while ((await logsMiB(url)) > 0.5) await sleep(100);
  const paused = await metric(url, PAUSED);
  const [before, logsBefore] = [residentMiB(pid), await logsMiB(url)];
  const alone = await speed(url);
  const { port } = new URL(url);
  const sockets = Array.from({ length: READERS }, () =>
    postNarrow(Number(port), { ...bulky(), job_id: crypto.randomUUID() }),
  );
  while (((await metric(url, PAUSED)) || 0) < (paused || 0) + READERS) await sleep(50);
  const [during, logsDuring] = [residentMiB(pid), await logsMiB(url)];
  const beside = await speed(url);
  for (const socket of sockets) socket.destroy();
  while ((await metric(url, 'worker_requests_running')) > 0) await sleep(50);
  const [after, logsAfter] = [residentMiB(pid), await logsMiB(url)];
  return { before, during, after, logsBefore, logsDuring, logsAfter, alone, beside };
}

const bulky = () => ({ ...job(freshPrompt(24), TOKENS), logprobs: 20 });
const speed = async (url) => decodeRate(await ask(url, job(freshPrompt(24), TOKENS)));
const logsMiB = async (url) => (await metric(url, 'worker_event_log_bytes')) / 2 ** 20;

/** Resident memory of a process. */
function residentMiB(pid) {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}
