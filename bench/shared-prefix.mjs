/** Requests that share the beginning of their prompts: the time to the first token, and the time of sixteen. */
import { ask, freshPrompt, goal, interleaved, job, ratios, rounds, section, spread, table } from './measure.mjs';
import { workerFlags } from './models.mjs';
import { startWorker } from './processes.mjs';

const SHARED = 1000;
const OWN = 32;
const TOGETHER = 16;
const TOKENS = 16;
/** Tokens of the request that runs while the second one arrives. */
const RUNNING_TOKENS = 200;
const ROUNDS = 5;

export async function sharedPrefix() {
  const worker = await startWorker([...workerFlags('q4'), '--slots', String(TOGETHER), '--context', '1280']);
  try {
    await ask(worker.url, job(freshPrompt(SHARED), 2));
    const first = await interleaved(rounds(ROUNDS), {
      cold: () => secondAfter(worker.url, freshPrompt(SHARED), freshPrompt(SHARED)),
      twin: () => {
        const beginning = freshPrompt(SHARED);
        return secondAfter(worker.url, beginning, beginning);
      },
    });
    const total = await interleaved(rounds(ROUNDS), {
      distinct: () => timeOfAll(worker.url, () => freshPrompt(SHARED)),
      shared: () => {
        const beginning = freshPrompt(SHARED);
        return timeOfAll(worker.url, () => beginning);
      },
    });
    return report(first, total);
  } finally {
    await worker.stop();
  }
}

function report({ cold, twin }, { distinct, shared }) {
  const [first, total] = [ratios(twin, cold), ratios(shared, distinct)];
  return section(
    'Shared prefixes',
    [
      `q4 135 M, over HTTP, prompts of ${SHARED} tokens and ${OWN} of their own. Second request: it arrives when the first one has its first token and generates ${RUNNING_TOKENS}; cold, its first ${SHARED} tokens are new; shared, they are those of the first one. Together: ${TOGETHER} requests of ${TOKENS} tokens, sent at once, until the last of them ends.`,
      table(
        ['', 'distinct, ms', 'shared, ms', 'ratio'],
        [
          ['second request: time to first token', spread(cold), spread(twin), spread(first, 3)],
          [`${TOGETHER} requests together`, spread(distinct), spread(shared), spread(total, 3)],
        ],
      ),
    ],
    [
      goal(
        `second request with the same ${SHARED} tokens while the first runs: time to first token against cold`,
        { most: 0.1, unit: '×', digits: 3 },
        first,
      ),
      goal(
        `${TOGETHER} requests that share ${SHARED} tokens, sent together: total time against distinct prompts`,
        { most: 0.35, unit: '×', digits: 3 },
        total,
      ),
    ],
  );
}

/** Milliseconds to the first token of a request that arrives while another one generates. */
async function secondAfter(url, one, other) {
  let begun = () => undefined;
  const running = new Promise((resolve) => {
    begun = resolve;
  });
  const onEvent = (type) => type === 'token' && begun();
  const first = ask(url, job(one + freshPrompt(OWN), RUNNING_TOKENS), { onEvent });
  await running;
  const { tokens } = await ask(url, job(other + freshPrompt(OWN), 2));
  await first;
  return tokens[0];
}

/** Milliseconds from the first request to the end of the last one. */
async function timeOfAll(url, beginning) {
  const bodies = Array.from({ length: TOGETHER }, () => job(beginning() + freshPrompt(OWN), TOKENS));
  const began = performance.now();
  await Promise.all(bodies.map((body) => ask(url, body)));
  return performance.now() - began;
}
