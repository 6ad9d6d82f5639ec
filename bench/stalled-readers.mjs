/**
 * The cost of clients that do not read: memory of the worker with 64 of them, and the speed of a client that
 * reads beside them.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask, askAll, decodeRate, freshPrompt, goal, job, ratios, rounds, section, spread, table } from './measure.mjs';
import { canBeNarrow, postNarrow } from './narrow-socket.mjs';
import { metric, startWorker } from './processes.mjs';

const READERS = 64;
const ROUNDS = 5;
/** With the likeliest 20 of each token, an output is some 430 kB: more than may be unread. */
const TOKENS = 480;
const PAUSED = 'worker_narration_events_total\\{event="generation.paused"\\}';
/**
 * A whole output with what it costs in memory: where a worker is busier than its engine, more tokens are on
 * their way when a pause is asked for.
 */
const MOST_KIB_EACH = 1024;

export async function stalledReaders() {
  if (!canBeNarrow)
    return section('Readers that do not read', ['Sockets that buffer little can be had on Linux only.']);
  const worker = await startWorker(['--slots', String(READERS + 1), '--slow-timeout', '600', '--replay-ttl', '1']);
  await askAll(worker.url, Array.from({ length: READERS }, bulky));
  const results = [];
  while (results.length < rounds(ROUNDS)) results.push(await oneRound(worker));
  await worker.stop();
  const of = (name) => results.map((result) => result[name]);
  const each = results.map(({ before, during }) => ((during - before) * 1024) / READERS);
  return section(
    'Readers that do not read',
    [
      `${READERS} jobs of the embedded model whose readers send their request and read nothing, over sockets that the kernel buffers some 30 kB of; ${TOKENS} tokens with 20 log-probabilities each, 430 kB in all. Every one of their generations pauses; then they leave. As many jobs were read to their end before the first round, and logs of earlier rounds are gone. Resident memory of the worker process, and decode tokens/s of one reader of ${TOKENS} plain tokens alone and beside them.`,
      table(
        ['', 'before', 'with all of them paused', 'after they left'],
        [
          ['resident memory, MiB', spread(of('before')), spread(of('during')), spread(of('after'))],
          ['event logs, MiB', spread(of('logsBefore')), spread(of('logsDuring')), spread(of('logsAfter'))],
          ['decode tokens/s of the one who reads', spread(of('alone'), 0), spread(of('beside'), 0), ''],
        ],
      ),
    ],
    [
      goal('memory of a stalled reader', { most: MOST_KIB_EACH, unit: ' KiB', digits: 0 }, each),
      goal('speed beside 64 stalled readers ÷ alone', { least: 0.9 }, ratios(of('beside'), of('alone'))),
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
