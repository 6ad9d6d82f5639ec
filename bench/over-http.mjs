/**
 * The share of the engine's speed that HTTP, text, narration and the second process cost, and the load seen
 * by many clients.
 */
import { freshIds, openEngine, sequence } from './engine.mjs';
import {
  ask,
  askAll,
  decodeRate,
  expectCold,
  freshPrompt,
  gapsOf,
  goal,
  interleaved,
  job,
  mostAtOnce,
  quantiles,
  ratios,
  rounds,
  section,
  spread,
  table,
  totalRate,
} from './measure.mjs';
import { workerFlags } from './models.mjs';
import { startWorker } from './processes.mjs';

const ROUNDS = 5;
const PROMPT = 32;
const TOKENS = 64;
const SLOTS = 16;
const CONTEXT = 512;
/** Clients of the load table, and the total number of their requests. */
const LOADS = [
  [1, 4],
  [4, 12],
  [16, 32],
  [64, 64],
];

export async function overHttp() {
  const worker = await startWorker([...workerFlags('q4'), '--slots', SLOTS, '--context', CONTEXT].map(String));
  const engine = openEngine('q4', SLOTS, CONTEXT);
  const figures = await compare(engine, worker.url).finally(() => engine.close());
  const loads = [];
  for (const [clients, requests] of LOADS)
    loads.push(await load(worker.url, clients, Math.min(requests, rounds(3) * clients)));
  await worker.stop();
  const { alone, http, aloneMany, httpMany } = figures;
  const [one, many] = [ratios(http, alone), ratios(httpMany, aloneMany)];
  return section(
    'The worker over HTTP',
    [
      `q4 135 M, ${SLOTS} slots, narration on. The engine in a process of its own behind bridge, text, narration and HTTP, and the engine alone with prompts of the same length, take turns. One stream: tokens/s after the first token. ${SLOTS} streams: tokens/s in total. Each request has ${PROMPT} prompt tokens and ${TOKENS} generated.`,
      table(
        ['', 'engine alone', 'over HTTP', 'ratio'],
        [
          ['1 stream, tokens/s', spread(alone), spread(http), spread(one, 2)],
          [`${SLOTS} streams, tokens/s`, spread(aloneMany), spread(httpMany), spread(many, 2)],
        ],
      ),
      `Load: each client sends its next request when its last one has ended. Beyond ${SLOTS} clients requests wait for a slot, and most of the time to first token is that wait.`,
      table(
        [
          'clients',
          'requests',
          'running together',
          'tokens/s in total',
          'time to first token p50 / p95 / p99, ms',
          'inter-token p50 / p95 / p99, ms',
          'time per output token p50, ms',
        ],
        loads,
      ),
    ],
    [
      goal('worker over HTTP against its engine alone, 1 stream', { least: 0.95, unit: '×' }, one),
      goal(`worker over HTTP against its engine alone, ${SLOTS} streams`, { least: 0.9, unit: '×' }, many),
    ],
  );
}

async function compare(engine, url) {
  const inEngine = () => engine.run(sequence(freshIds(PROMPT), TOKENS));
  const overIt = () => ask(url, job(freshPrompt(PROMPT), TOKENS));
  const one = async (run) => decodeRate(expectCold([await run()], PROMPT, TOKENS)[0]);
  const all = async (run) =>
    totalRate(expectCold(await Promise.all(Array.from({ length: SLOTS }, run)), PROMPT, TOKENS));
  const sides = {
    alone: () => one(inEngine),
    http: () => one(overIt),
    aloneMany: () => all(inEngine),
    httpMany: () => all(overIt),
  };
  await interleaved(1, sides);
  return interleaved(rounds(ROUNDS), sides);
}

async function load(url, clients, requests) {
  const bodies = Array.from({ length: requests }, () => job(freshPrompt(PROMPT), TOKENS));
  const outcomes = expectCold(await askAll(url, bodies, clients), PROMPT, TOKENS);
  return [
    clients,
    requests,
    mostAtOnce(outcomes),
    totalRate(outcomes).toFixed(1),
    quantiles(
      outcomes.map(({ tokens }) => tokens[0]),
      undefined,
      0,
    ),
    quantiles(
      outcomes.flatMap((outcome) => gapsOf(outcome)),
      undefined,
      1,
    ),
    quantiles(
      outcomes.map((outcome) => 1000 / decodeRate(outcome)),
      [0.5],
      1,
    ),
  ];
}
