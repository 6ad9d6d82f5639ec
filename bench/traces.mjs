/**
 * The cost of traces: requests of workers with traces off, with a receiver that takes its spans, and with receivers
 * that do not. The workers take turns. Also the end of each worker, and starts with and without traces.
 */
import { createServer } from 'node:http';
import { availableParallelism, cpus, loadavg } from 'node:os';
import {
  ask,
  askAll,
  freshPrompt,
  interleaved,
  job,
  quantile,
  ratios,
  rounds,
  section,
  spread,
  table,
  totalRate,
} from './measure.mjs';
import { activity } from './process-figures.mjs';
import { metric, startWorker } from './processes.mjs';

/** Written before the first run. */
const PREDICTION =
  'a request has four spans of 1 to 3 KB, which take 0.2 ms of the worker to write and to send: throughput 0.97 to 1.01 of that without traces and the same latency, with every receiver; a failing receiver costs no more than a healthy one, because nothing waits for it; a worker with a silent receiver ends up to 2 s later, the others at once; a start without traces is as fast as before they existed, one with traces takes 5 ms more';
const ROUNDS = 60;
const STARTS = 8;
const STREAMS = 8;
const TOKENS = 50;
/** Requests of one token, one after the other. */
const SHORT = 5;
const SLOW_MS = 2000;
/** A build without traces, for the starts: BENCH_BASE=path/to/dist/cli.js. */
const BASE = process.env.BENCH_BASE;

/** How each receiver answers; undefined: there is none. */
const RECEIVERS = {
  'takes spans': (answer) => answer(),
  'is not there': undefined,
  'is silent': () => undefined,
  [`answers after ${SLOW_MS / 1000} s`]: (answer) => setTimeout(answer, SLOW_MS),
};

export async function traces() {
  const receivers = await Promise.all(Object.entries(RECEIVERS).map(([name, answer]) => open(name, answer)));
  const workers = { off: await startWorker() };
  for (const { name, url } of receivers) workers[name] = await startWorker([], undefined, variables(url));
  const sides = Object.fromEntries(Object.entries(workers).map(([name, worker]) => [name, () => measure(worker)]));
  await interleaved(2, sides);
  const figures = await interleaved(rounds(ROUNDS), sides);
  const rows = [];
  for (const [name, worker] of Object.entries(workers)) {
    const spans = name === 'off' ? ['–', '–'] : await fates(worker.url);
    const began = performance.now();
    await worker.stop();
    const stopMs = performance.now() - began;
    const ratio = (figure) => quartiles(ratios(figures[name].map(figure), figures.off.map(figure)));
    const cpu = ratio(({ cpuMs }) => cpuMs);
    rows.push([name, ratio(({ rate }) => rate), ratio(({ ms }) => ms), cpu, ...spans, stopMs.toFixed(0)]);
  }
  const starts = await startTimes(receivers[0].url);
  for (const { close } of receivers) close();
  return section('Cost of traces', [
    `${STREAMS} streams of ${TOKENS} tokens, and ${SHORT} requests of one token one after the other (median), embedded model, over HTTP. One worker for each receiver; they take turns, ${figures.off.length} rounds. Ratios to the worker without traces in the same round, median and quarters. CPU: processor time of the worker process per request, without its engine; without traces ${quantile(
      figures.off.map(({ cpuMs }) => cpuMs),
      0.5,
    ).toFixed(
      1,
    )} ms. The end: from SIGTERM to the exit of an idle worker that has spans to export. ${cpus()[0].model}, ${availableParallelism()} cores, Node ${process.versions.node}, load ${loadavg()
      .map((load) => load.toFixed(1))
      .join(', ')}.`,
    `Prediction: ${PREDICTION}.`,
    table(['the receiver', 'throughput', 'latency', 'CPU', 'spans exported', 'spans lost', 'end, ms'], rows),
    `Starts in turn, ${starts.off.length} of each: milliseconds from spawn to ready, and processor time of the worker process until then.`,
    table(
      ['traces', 'ms', 'CPU, ms'],
      Object.entries(starts).map(([name, all]) => [
        name,
        spread(
          all.map(({ ms }) => ms),
          0,
        ),
        spread(
          all.map(({ cpuMs }) => cpuMs),
          0,
        ),
      ]),
    ),
  ]);
}

/** The median, and the quarters around it: other load of the machine makes the extremes. */
const quartiles = (values) => {
  const [low, middle, high] = [0.25, 0.5, 0.75].map((share) => quantile(values, share).toFixed(2));
  return `${middle} (${low} … ${high})`;
};

const variables = (url) => ({ OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_BSP_SCHEDULE_DELAY: '200' });

/** A receiver; without `answer`, the URL of a port that nothing listens on. */
async function open(name, answer) {
  const server = createServer((request, response) => {
    request.resume().once('end', () => answer(() => response.end('{}')));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${server.address().port}`;
  const close = () => server.close().closeAllConnections();
  if (!answer) close();
  return { name, url, close };
}

async function measure({ url, pid }) {
  const before = activity(pid).cpuMs;
  const bodies = Array.from({ length: STREAMS }, () => job(freshPrompt(16), TOKENS));
  const rate = totalRate(await askAll(url, bodies, STREAMS));
  const times = [];
  for (let request = 0; request < SHORT; request += 1) {
    const began = performance.now();
    await ask(url, job(freshPrompt(16), 1));
    times.push(performance.now() - began);
  }
  const cpuMs = (activity(pid).cpuMs - before) / (bodies.length + SHORT);
  return { rate, ms: quantile(times, 0.5), cpuMs };
}

/** Spans that were exported and lost so far. */
async function fates(url) {
  const lost = await Promise.all(
    ['queue_full', 'export_failed', 'rejected'].map((reason) =>
      metric(url, `worker_trace_spans_dropped_total\\{reason="${reason}"\\}`),
    ),
  );
  return [await metric(url, 'worker_trace_spans_exported_total'), lost.reduce((sum, one) => sum + one)];
}

async function startTimes(url) {
  const start = async (cli, more) => {
    const worker = await startWorker([], cli, more);
    const { cpuMs } = activity(worker.pid);
    await worker.stop();
    return { ms: worker.at['warmup.done'], cpuMs };
  };
  const sides = {
    off: () => start(),
    on: () => start(undefined, variables(url)),
    ...(BASE && { 'a build without traces': () => start(BASE) }),
  };
  await interleaved(1, sides);
  return interleaved(rounds(STARTS), sides);
}
