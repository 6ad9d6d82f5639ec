/** The time to the first token, and the time between tokens. */
import { ask, gapsOf, quantile, quantiles, rounds, section, spread, table } from './measure.mjs';
import { startWorker } from './processes.mjs';

const RUNS = 100;
const STARTS = 9;

export async function firstToken() {
  // The first worker warms up this client: the first request of the client itself is not measured.
  const first = [];
  for (let start = 0; start <= rounds(STARTS); start += 1) {
    const worker = await startWorker();
    const outcome = await haiku(worker.url, 0);
    if (start > 0) first.push(outcome.tokens[0]);
    await worker.stop();
  }
  const worker = await startWorker();
  const outcomes = [];
  for (let run = 0; run <= RUNS; run += 1) outcomes.push(await haiku(worker.url, run));
  await worker.stop();
  const firsts = outcomes.slice(1).map(({ tokens }) => tokens[0]);
  const gaps = outcomes.slice(1).flatMap((outcome) => gapsOf(outcome));
  return section('First token', [
    `One client over real HTTP, prompts of about 15 tokens: the first request of ${first.length} processes, then ${RUNS} requests to one process. Goal: the first token within 20 ms.`,
    table(
      ['figure', 'ms'],
      [
        ['time to first token, first request of a process', spread(first)],
        ['time to first token', spread(firsts)],
        ['time to first token, p95', quantile(firsts, 0.95).toFixed(1)],
        ['inter-token latency, p50 / p95 / p99', quantiles(gaps)],
      ],
    ),
  ]);
}

const haiku = (url, seed) => ask(url, { prompt: `Write a haiku about the sea, number ${seed}`, seed });
