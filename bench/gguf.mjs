/**
 * The worker against node-llama-cpp on the same GGUF file: speed of one stream and of many, prompts, memory of one
 * server and of several, and the time to ready.
 *
 * BENCH_GGUF=<shape>:<format>,…   only these files, for example `135 M:q4_0,0.5 B:q4_k_m`
 * BENCH_PARTS=<part>,…            only these parts: starts, alone, many, memory
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ask,
  askAll,
  decodeRate,
  expectCold,
  freshPrompt,
  goal,
  interleaved,
  job,
  mostAtOnce,
  ratios,
  rounds,
  section,
  spread,
  table,
  totalRate,
} from './measure.mjs';
import { mixedGgufFile } from './models.mjs';
import { childOf, memory } from './process-figures.mjs';
import { startPeer, startWorker } from './processes.mjs';

const OURS = 'rbees-workerd';
const LLAMA = 'node-llama-cpp';
/** Shape and format of each file. Only `0.34 B` has rows that Q4_K and Q6_K fit. */
const FILES = [
  ...['q4_0', 'q8_0', 'q4_k_m'].map((format) => ['135 M', format]),
  ['0.34 B', 'q4_k_m'],
  ...['q4_0', 'q8_0', 'q4_k_m'].map((format) => ['0.5 B', format]),
];
const STREAMS = 16;
const SHAPES = { long: { prompt: 64, tokens: 448 }, short: { prompt: 64, tokens: 64 } };
const ALONE = { prompt: 448, tokens: 64 };
const LONG_PROMPT = 4000;
const CONTEXT = { alone: 4352, many: 1024 };
const SERVERS = 4;
/** Goals: the ratio to node-llama-cpp. */
const DECODE = { q4_0: 1.4, q8_0: 1.4, q4_k_m: 1.2 };
const LEAST = { long: 2, short: 2, prefill: 1.2 };
const MOST = { ready: 1, memory: 0.5 };

export async function gguf() {
  const results = [];
  for (const [shape, format] of chosenFiles()) {
    const folder = mkdtempSync(join(tmpdir(), 'bench-gguf-'));
    try {
      const start = starters(shape, format, folder);
      const figures = { memory: {} };
      for (const part of chosenParts()) Object.assign(figures, await PARTS[part](start, shape));
      results.push({ shape, format, figures });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  return section('The same GGUF file', [...text(), ...results.flatMap(show)], results.flatMap(goals));
}

const PARTS = { starts: compareStarts, alone: compareAlone, many: compareMany, memory: compareMemory };

function chosenParts() {
  const parts = process.env.BENCH_PARTS?.split(',') ?? Object.keys(PARTS);
  const unknown = parts.filter((name) => !(name in PARTS));
  if (unknown.length === 0) return parts;
  throw new Error(`BENCH_PARTS names ${unknown.join(', ')}. The parts are ${Object.keys(PARTS).join(', ')}.`);
}

function chosenFiles() {
  const only = process.env.BENCH_GGUF?.split(',');
  const unknown = only?.filter((name) => !FILES.some((file) => file.join(':') === name)) ?? [];
  const known = FILES.map((file) => file.join(':'));
  if (unknown.length > 0) throw new Error(`BENCH_GGUF names ${unknown.join(', ')}. The files are ${known.join(', ')}.`);
  return FILES.filter((file) => only?.includes(file.join(':')) ?? true);
}

/**
 * Starts a server of each side: `(slots, context) => server`, with the milliseconds from spawn to ready. The workers
 * of one file share the folder of converted weights.
 */
function starters(shape, format, folder) {
  const file = mixedGgufFile(format, shape);
  const flags = ['--model', file, '--device', 'cpu', '--speculation', 'off', '--weights-cache', folder];
  return {
    [OURS]: async (slots, context) => {
      const server = await startWorker([...flags, '--slots', slots, '--context', context].map(String));
      return { ...server, readyMs: server.at['warmup.done'], pids: [server.pid, childOf(server.pid)] };
    },
    [LLAMA]: async (slots, context) => {
      const began = performance.now();
      const server = await startPeer('llama-server.mjs', [file, slots, context].map(String));
      return { ...server, readyMs: performance.now() - began, pids: [server.pid] };
    },
  };
}

const eachSide = (sides, measure) =>
  Object.fromEntries(Object.entries(sides).map(([name, side]) => [name, () => measure(side, name)]));

/** Milliseconds to ready: of the first start, which converts the file, and of those after it, in turn. */
async function compareStarts(start) {
  const readyMs = async (started) => {
    const server = await started(1, CONTEXT.many);
    await server.stop();
    return server.readyMs;
  };
  const sides = eachSide(start, readyMs);
  return { first: await interleaved(1, sides), ready: await interleaved(rounds(5), sides) };
}

/** One stream: tokens/s of decode, of a prompt and of a long prompt. */
async function compareAlone(start) {
  const servers = await started(start, 1, CONTEXT.alone);
  try {
    const sides = eachSide(servers, ({ url }) => stream(url, ALONE));
    const long = eachSide(servers, async ({ url }) => (await stream(url, { prompt: LONG_PROMPT, tokens: 2 })).prefill);
    await interleaved(1, sides);
    const alone = await interleaved(rounds(7), sides);
    const of = (key) =>
      Object.fromEntries(Object.entries(alone).map(([name, all]) => [name, all.map((one) => one[key])]));
    return { decode: of('decode'), prefill: of('prefill'), longPrefill: await interleaved(rounds(3), long) };
  } finally {
    await stopped(servers);
  }
}

/** Many streams: tokens/s in total, by the shape of the streams, and how many ran at once. */
async function compareMany(start, shape) {
  const servers = await started(start, STREAMS, CONTEXT.many);
  try {
    const atOnce = {};
    const sides = (kind) =>
      eachSide(servers, async ({ url }, name) => {
        const { prompt, tokens } = SHAPES[kind];
        const bodies = Array.from({ length: STREAMS }, () => job(freshPrompt(prompt), tokens));
        const outcomes = expectCold(await askAll(url, bodies), prompt, tokens);
        atOnce[name] = Math.min(atOnce[name] ?? STREAMS, mostAtOnce(outcomes));
        return totalRate(outcomes);
      });
    await interleaved(1, sides('short'));
    const short = await interleaved(rounds(3), sides('short'));
    return { short, long: await interleaved(rounds(shape === '0.5 B' ? 1 : 2), sides('long')), atOnce };
  } finally {
    await stopped(servers);
  }
}

/** Memory in MB of one server and of several, after a short answer of each: `{memory: {1: {side: {pss, own: […]}}, 4: …}}`. */
async function compareMemory(start) {
  const figures = {};
  if (process.platform !== 'linux') return { memory: figures };
  for (const count of [1, SERVERS]) {
    figures[count] = {};
    for (const [name, open] of Object.entries(start)) {
      const servers = await Promise.all(Array.from({ length: count }, () => open(1, CONTEXT.many)));
      try {
        for (const { url } of servers) await stream(url, { prompt: 64, tokens: 8 });
        const each = servers.map(({ pids }) => pids.map((pid) => memory(pid)));
        const sums = (key) => each.map((parts) => parts.reduce((sum, part) => sum + part[key], 0));
        figures[count][name] = { pss: sums('proportional').reduce((sum, mb) => sum + mb), own: sums('own') };
      } finally {
        await stopped(servers);
      }
    }
  }
  return { memory: figures };
}

async function started(start, slots, context) {
  const servers = {};
  for (const [name, open] of Object.entries(start)) servers[name] = await open(slots, context);
  return servers;
}

const stopped = (servers) => Promise.all(Object.values(servers).map(({ stop }) => stop()));

async function stream(url, { prompt, tokens }) {
  const outcome = await ask(url, job(freshPrompt(prompt), tokens));
  expectCold([outcome], prompt, tokens);
  return { decode: decodeRate(outcome), prefill: (prompt * 1000) / outcome.tokens[0] };
}

const LABELS = {
  decode: [`decode, 1 stream to context ${ALONE.prompt + ALONE.tokens}, tokens/s`, 1],
  long: [`${STREAMS} streams to context ${SHAPES.long.prompt + SHAPES.long.tokens}, tokens/s in total`, 1],
  short: [`${STREAMS} streams of ${SHAPES.short.prompt} + ${SHAPES.short.tokens} tokens, tokens/s in total`, 1],
  prefill: [`prefill of ${ALONE.prompt} tokens, tokens/s`, 0],
  longPrefill: [`prefill of ${LONG_PROMPT} tokens, tokens/s`, 0],
  ready: ['ready, second start, ms', 0],
  first: ['ready, first start (the worker converts), ms', 0],
};

const text = () => [
  'The worker and node-llama-cpp serve the same file over HTTP, on the CPU with all cores, greedy, with the same prompts, in turn. The files have random weights and the mix of formats that llama-quantize writes. Rows of 135 M and 0.5 B are no multiples of 256: their Q4_K_M files are mostly Q5_0 and Q8_0, as the published files of these shapes are. Those of 0.34 B are Q4_K and Q6_K.',
  `One stream: both sides have one sequence with a context of ${CONTEXT.alone}. ${STREAMS} streams start at once; their figure counts from the first POST to the last token. Memory: of all processes of a side, after a short answer of each server, with one sequence of ${CONTEXT.many} tokens. Pss divides a page by the number of its processes; private pages have one process.`,
];

function show({ shape, format, figures }) {
  const measured = Object.entries(LABELS).filter(([key]) => key in figures);
  const rows = measured.map(([key, [label, digits]]) => [
    label,
    ...[OURS, LLAMA].map((name) => spread(figures[key][name], digits)),
    spread(ratios(figures[key][OURS], figures[key][LLAMA]), 2),
  ]);
  const parts = Object.entries(figures.memory).flatMap(([count, sides]) => [
    [`memory of ${count}, Pss in MB`, ...cells(sides, ({ pss }) => [pss])],
    [`– private, of each`, ...cells(sides, ({ own }) => own)],
  ]);
  const atOnce = [OURS, LLAMA].map((name) => `${name} ${figures.atOnce?.[name] ?? 'not measured'}`).join(', ');
  return [
    `${shape}, ${format} (concurrent streams: ${atOnce}):`,
    table(['', OURS, LLAMA, `× ${LLAMA}`], [...rows, ...parts]),
  ];
}

function cells(sides, of) {
  const [ours, theirs] = [of(sides[OURS]), of(sides[LLAMA])];
  return [spread(ours, 0), spread(theirs, 0), spread(ratios(ours, theirs), 2)];
}

function goals({ shape, format, figures }) {
  const file = `${shape} ${format}, against ${LLAMA}`;
  const against = (key, bound) =>
    goal(
      `${LABELS[key][0].split(',')[0]}, ${file}`,
      { unit: '×', ...bound },
      ratios(figures[key][OURS], figures[key][LLAMA]),
    );
  const several = figures.memory[SERVERS];
  const bounds = { decode: { least: DECODE[format] } };
  for (const [key, least] of Object.entries(LEAST)) bounds[key] = { least };
  if (shape === '0.5 B' && format === 'q4_k_m') bounds.ready = { most: MOST.ready };
  return [
    ...Object.entries(bounds).flatMap(([key, bound]) => (key in figures ? [against(key, bound)] : [])),
    ...(several
      ? [
          goal(`memory of ${SERVERS} servers, ${file}`, { most: MOST.memory, unit: '×' }, [
            several[OURS].pss / several[LLAMA].pss,
          ]),
        ]
      : []),
  ];
}
