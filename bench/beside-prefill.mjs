/** How much a long prompt disturbs running streams, and how much the streams delay it. */
import {
  ask,
  freshPrompt,
  gapsOf,
  goal,
  job,
  quantile,
  quantiles,
  ratios,
  rounds,
  section,
  spread,
  table,
} from './measure.mjs';
import { workerFlags } from './models.mjs';
import { startWorker } from './processes.mjs';

const ROUNDS = 3;
const STREAMS = [1, 4];
const PROMPT = 2000;
/**
 * Milliseconds that the streams run before the long prompt and after it, and at most beside it.
 */
const ALONE_MS = 4000;
const MOST_MS = 45_000;
/** More tokens than a stream can produce in that time. The bench ends the streams when the prompt is done. */
const ENDLESS = 2000;
const SHARES = [0.5, 0.95, 0.99, 1];

export async function besidePrefill() {
  const worker = await startWorker([
    ...workerFlags('q4'),
    '--slots',
    String(Math.max(...STREAMS) + 1),
    '--context',
    '2304',
  ]);
  const { url } = worker;
  await ask(url, job(freshPrompt(32), 16));
  const rows = [];
  const goals = [];
  const alone = [];
  for (let round = 0; round < rounds(ROUNDS); round += 1)
    alone.push((await ask(url, job(freshPrompt(PROMPT), 1))).tokens[0]);
  for (const count of STREAMS) {
    const results = [];
    for (let round = 0; round < rounds(ROUNDS); round += 1) results.push(await disturb(url, count));
    const name = count === 1 ? '1 stream' : `${count} streams`;
    const gaps = (when) => results.flatMap((figures) => figures[when]);
    const p95 = (when) => results.map((figures) => quantile(figures[when], 0.95));
    const [before, after] = [p95('before'), p95('after')];
    const ratio = ratios(
      p95('beside'),
      before.map((ms, round) => (ms + after[round]) / 2),
    );
    const first = results.map(({ firstToken }) => firstToken);
    rows.push(
      [`${name}, before the prompt`, quantiles(gaps('before'), SHARES, 1), '', ''],
      [`${name}, beside the prompt`, quantiles(gaps('beside'), SHARES, 1), spread(ratio, 2), shown(first)],
      [`${name}, after the prompt`, quantiles(gaps('after'), SHARES, 1), '', ''],
    );
    goals.push(
      goal(
        `p95 inter-token latency of ${name} while another request prefills ${PROMPT} tokens, against alone`,
        { most: 1.5, unit: '×' },
        ratio,
      ),
    );
  }
  await worker.stop();
  return section(
    'Beside a long prompt',
    [
      `q4 135 M, over HTTP. Streams decode for ${ALONE_MS / 1000} s, then another request sends a prompt of ${PROMPT} tokens, then they decode for ${ALONE_MS / 1000} s more. "Beside the prompt" are the gaps between their tokens from the POST of the prompt to its first token. Their context grows meanwhile, and every step with it, so the ratio is the p95 beside the prompt divided by the mean of the p95 before and after it, in one round. With nothing beside it the first token of the prompt comes after ${shown(alone)}. A prompt that is not done after ${MOST_MS / 1000} s is given up.`,
      table(['', `inter-token p50 / p95 / p99 / longest, ms`, 'p95 ratio', "the prompt's time to first token"], rows),
    ],
    goals,
  );
}

const shown = (times) =>
  times.some((ms) => ms === undefined) ? `more than ${MOST_MS / 1000} s` : `${spread(times.map((ms) => ms / 1000))} s`;

async function disturb(url, count) {
  const ending = new AbortController();
  const streams = Array.from({ length: count }, () =>
    ask(url, job(freshPrompt(32), ENDLESS), { signal: ending.signal }),
  );
  await new Promise((resolve) => setTimeout(resolve, ALONE_MS));
  const sent = performance.now();
  const prompt = await ask(url, job(freshPrompt(PROMPT), 1), { signal: AbortSignal.timeout(MOST_MS) });
  const until = performance.now();
  await new Promise((resolve) => setTimeout(resolve, ALONE_MS));
  ending.abort();
  const outcomes = await Promise.all(streams);
  if (outcomes.some(({ end }) => end)) throw new Error('A stream ended before the prompt was done');
  // The time at which all streams decode: the prompt of the last stream delays the streams before it.
  const joined = Math.max(...outcomes.map((outcome) => outcome.sent + outcome.tokens[0]));
  const between = (from, to) => outcomes.flatMap((outcome) => gapsOf(outcome, from - outcome.sent, to - outcome.sent));
  return {
    before: between(joined, sent),
    beside: between(sent, until),
    after: between(until, Number.POSITIVE_INFINITY),
    firstToken: prompt.tokens[0],
  };
}
