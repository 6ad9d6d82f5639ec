/** Tokens per second of workers: the growth of a counter between two readings of their metrics. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ANSWER_MS, clientOf, type WorkerAddress } from '../workers/ask-worker.ts';
import type { FoundWorker } from '../workers/local-workers.ts';

/** Milliseconds between the readings. */
const BETWEEN_MS = 1000;
const COUNTER = /^worker_tokens_generated_total(?:\{[^}\n]{0,200}\})? (\d{1,17}(?:\.\d{1,9})?(?:e\+?\d{1,2})?)$/m;

interface Reading {
  readonly tokens: number;
  readonly at: number;
}

/** The workers with their rates. A worker that does not report its metrics keeps its row. */
export async function withRates(found: readonly FoundWorker[]): Promise<FoundWorker[]> {
  const first = await readAll(found);
  if (first.every((reading) => reading === undefined)) return [...found];
  await sleep(BETWEEN_MS);
  const second = await readAll(found);
  return found.map((worker, index) => {
    const rate = rateOf(first[index], second[index]);
    return rate === undefined ? worker : { ...worker, row: { ...worker.row, tokens_per_sec: rate } };
  });
}

const readAll = (found: readonly FoundWorker[]): Promise<(Reading | undefined)[]> =>
  Promise.all(found.map(({ address, row }) => (row.slots ? read(address) : undefined)));

async function read(address: WorkerAddress): Promise<Reading | undefined> {
  const text = await clientOf(address)
    .metrics(AbortSignal.timeout(ANSWER_MS))
    .catch(() => '');
  const tokens = counterIn(text);
  return tokens === undefined ? undefined : { tokens, at: performance.now() };
}

/** The counter in the text of `/metrics`. */
export function counterIn(text: string): number | undefined {
  const digits = COUNTER.exec(text)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** With one decimal. A counter that went back belongs to another process. */
function rateOf(first: Reading | undefined, second: Reading | undefined): number | undefined {
  if (!first || !second || second.tokens < first.tokens || second.at <= first.at) return undefined;
  return Math.round(((second.tokens - first.tokens) / (second.at - first.at)) * 10_000) / 10;
}
