/**
 * The cost of scrapes: streams while a monitor reads /metrics every 50 ms, and without it; and the processor time of
 * one scrape, beside that of the cheapest request at the same rate.
 */
import { once } from 'node:events';
import { loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import {
  askAll,
  freshPrompt,
  goal,
  interleaved,
  job,
  ratios,
  rounds,
  section,
  spread,
  table,
  totalRate,
} from './measure.mjs';
import { workerFlags } from './models.mjs';
import { activity } from './process-figures.mjs';
import { startWorker } from './processes.mjs';

/** Written before the first run. */
const PREDICTION =
  'a scrape takes 0.5 to 1 ms of processor time, half of it for the metrics of Node.js; the worker makes at most ten texts a second, so scrapes every 50 ms take 1 % of one core at most, of which streams lose less: 0.99 to 1 of the throughput for both models';
const INTERVAL_MS = 50;
const ROUNDS = 15;
const STREAMS = 8;
const MODELS = {
  'q4 135 M': { flags: () => [...workerFlags('q4'), '--context', '256'], tokens: 128, requests: STREAMS },
  'embedded 0.9 M': { flags: () => [], tokens: 200, requests: 24 * STREAMS },
};
/** Time of one measurement on the idle worker. */
const IDLE_MS = 4000;

export async function scrape() {
  const [rows, goals] = [[], []];
  for (const [name, model] of Object.entries(MODELS)) {
    const worker = await startWorker([...model.flags(), '--slots', String(STREAMS)]);
    const scraper = await openScraper(worker.url);
    const figures = await compare(worker, scraper, model);
    const { percent, each, live } = await costOfScrapes(worker, scraper);
    await scraper.close();
    await worker.stop();
    const rates = (side) => figures[side].map(({ rate }) => rate);
    const ratio = ratios(rates('scraped'), rates('alone'));
    const cpu = (side) =>
      spread(
        figures[side].map(({ cpuMicros }) => cpuMicros),
        0,
      );
    rows.push([
      name,
      spread(rates('alone'), 0),
      spread(rates('scraped'), 0),
      spread(ratio, 3),
      cpu('alone'),
      cpu('scraped'),
      percent,
      each,
      live,
    ]);
    if (name === 'q4 135 M')
      goals.push(
        goal(`scrapes every ${INTERVAL_MS} ms against none, ${name}`, { least: 0.99, unit: '×', digits: 3 }, ratio),
      );
  }
  return section(
    'Cost of scrapes',
    [
      `${STREAMS} streams over HTTP, tokens/s in total, alone and while a monitor reads \`/metrics\` every ${INTERVAL_MS} ms with the aliases of vLLM. The sides take turns at the same worker. CPU: processor time of the worker process per token, without the engine. Scrapes: processor time of the worker process for the scrapes alone, on the idle worker. The worker makes a text at most every 100 ms. The embedded model is the worst case, because the worker process limits it; the goal is for the 135 M model. Load of the machine: ${loadavg()
        .map((load) => load.toFixed(1))
        .join(', ')}.`,
      `Prediction: ${PREDICTION}.`,
      table(
        [
          'model',
          'alone, tokens/s',
          'scraped, tokens/s',
          'ratio',
          'alone, CPU µs/token',
          'scraped, CPU µs/token',
          'scrapes, % of one core',
          'one scrape, ms',
          'one `GET /live`, ms',
        ],
        rows,
      ),
    ],
    goals,
  );
}

async function compare(worker, scraper, { tokens, requests }) {
  const bodies = () => Array.from({ length: requests }, () => job(freshPrompt(32), tokens));
  const measure = async () => {
    const before = activity(worker.pid).cpuMs;
    const rate = totalRate(await askAll(worker.url, bodies(), STREAMS));
    return { rate, cpuMicros: ((activity(worker.pid).cpuMs - before) * 1000) / (requests * tokens) };
  };
  const sides = { alone: measure, scraped: () => scraper.during('/metrics', measure) };
  await interleaved(2, sides);
  return interleaved(rounds(ROUNDS), sides);
}

/** One thread for all sides: its start takes processor time that no measurement may contain. */
async function openScraper(url) {
  const thread = new Worker(new URL('./scrape-thread.mjs', import.meta.url), {
    workerData: { intervalMs: INTERVAL_MS },
  });
  const tell = async (target) => {
    thread.postMessage(target);
    await once(thread, 'message');
  };
  await tell(undefined);
  return {
    /** Takes a measurement while the thread requests this path. */
    async during(path, measure) {
      await tell(url + path);
      const figure = await measure();
      await tell(undefined);
      return figure;
    },
    close: () => thread.terminate(),
  };
}

/**
 * Processor time of scrapes on the idle worker, which is subtracted: the share of one core in percent, and the
 * milliseconds of one scrape and of one `GET /live` at the same rate.
 */
async function costOfScrapes({ pid }, scraper) {
  const during = async () => {
    const [before, began] = [activity(pid).cpuMs, performance.now()];
    await sleep(IDLE_MS);
    return (activity(pid).cpuMs - before) / (performance.now() - began);
  };
  const sides = {
    idle: during,
    scraped: () => scraper.during('/metrics', during),
    live: () => scraper.during('/live', during),
  };
  await interleaved(1, sides);
  const figures = await interleaved(rounds(5), sides);
  const cost = (side, scale) =>
    spread(
      figures[side].map((share, round) => (share - figures.idle[round]) * scale),
      2,
    );
  return { percent: cost('scraped', 100), each: cost('scraped', INTERVAL_MS), live: cost('live', INTERVAL_MS) };
}
