/**
 * The figures of one worker on which docs/scale.md builds. A real worker and the model of bench/fleet/ get
 * the same arrivals; a receiver of ready callbacks, a scrape, and a reader of stdout are timed.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ask, askAll, freshPrompt, job, quantile, section, spread, table } from './measure.mjs';
import { workerFlags } from './models.mjs';
import { cpuMs } from './process-figures.mjs';
import { startWorker } from './processes.mjs';

const TRACE = fileURLToPath(new URL('../build/fleet-trace.json', import.meta.url));
const RUN = fileURLToPath(new URL('../scripts/run.mjs', import.meta.url));
/** Requests of a real load, and their arrivals as a share of the rate that the worker can serve. */
const LOADS = [
  ['half of the capacity', 16, 0.5],
  ['80 % of the capacity', 20, 0.8],
];
/** Means of the tokens of a request: the excess over the least is exponential. */
const PROMPT = { least: 20, mean: 120 };
const OUTPUT = { least: 8, mean: 32 };
const CALLBACKS = 5000;
const LINES = 200_000;
const SCRAPES = 200;

export async function fleetBase() {
  const worker = await startWorker(['--queue', '200', ...workerFlags('q4')]);
  const loads = [];
  let scrape;
  try {
    let before = await slowness(worker.url);
    for (const [name, count, share] of LOADS) {
      process.stderr.write(` ${name}…`);
      const rate = share * capacity(scaled(before));
      const requests = await realLoad(worker.url, { count, rate, seed: 7 });
      // Other work comes and goes: the mean of the time before and after the load.
      const after = await slowness(worker.url);
      const slow = meanOf(before, after);
      loads.push({ name, requests, times: scaled(slow), slow });
      before = after;
    }
    scrape = await scrapes(worker);
  } finally {
    await worker.stop();
  }
  mkdirSync(fileURLToPath(new URL('../build/', import.meta.url)), { recursive: true });
  writeFileSync(TRACE, JSON.stringify({ loads }));
  const comparison = execFileSync(process.execPath, [RUN, 'bench/fleet.ts', '--trace', TRACE], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const receiver = await callbacks();
  const lines = await stdoutLines();
  const factors = loads.map(
    ({ name, slow }) => `${name}: prompts ${slow.prompt.toFixed(1)}, steps ${slow.step.toFixed(1)}`,
  );
  return section('The base of a fleet', [
    `q4 135 M. Times of the service in this run, as multiples of those of the quiet machine of docs/benchmarks.md: ${factors.join('; ')}.`,
    comparison.trim(),
    table(
      ['', 'figure'],
      [
        [
          'ready callbacks that one process of Node.js answers, per second of processor time',
          spread(receiver.rates, 0),
        ],
        ['bytes of a ready callback', String(receiver.bytes)],
        ['bytes of `GET /metrics`', String(scrape.bytes)],
        ['`GET /metrics`, one after another, ms', spread(scrape.ms, 2)],
        ['processor time of the worker for one, ms', scrape.cpu.toFixed(2)],
        ['bytes of `GET /ready`', String(scrape.ready)],
        [
          'lines of stdout that one process of Node.js divides and parses, per second of processor time',
          spread(lines.parsed, 0),
        ],
        ['– divides only', spread(lines.divided, 0)],
      ],
    ),
  ]);
}

/** Times of a quiet machine: `MEASURED` of bench/fleet/service.ts. */
const QUIET = { step: 5.7, row: 2.3, context: 0.0065, prompt: 1.81, promptContext: 0.00081, request: 7 };
const RULES = { chunk: 250, longestChunk: 500, stepsBetween: 24 };
const [PROMPT_LENGTH, ROWS, CONTEXT] = [320, 8, 64];

/** How many times longer a prompt and a step of eight rows take than on the quiet machine. */
async function slowness(url) {
  const prompts = [];
  for (let round = 0; round < 3; round += 1)
    prompts.push((await ask(url, job(freshPrompt(PROMPT_LENGTH), 1))).tokens[0]);
  const bodies = Array.from({ length: ROWS }, () => job(freshPrompt(CONTEXT - 16), 32));
  const outcomes = await askAll(url, bodies);
  const from = Math.max(...outcomes.map(({ sent, tokens }) => sent + tokens[0]));
  const to = Math.min(...outcomes.map(({ sent, tokens }) => sent + tokens.at(-1)));
  const inside = ({ sent, tokens }) => tokens.filter((at) => sent + at >= from && sent + at <= to).length;
  const step = (to - from) / (Math.min(...outcomes.map(inside)) - 1);
  const { request, prompt, promptContext } = QUIET;
  return {
    prompt: quantile(prompts, 0.5) / (request + PROMPT_LENGTH * (prompt + (promptContext * PROMPT_LENGTH) / 2)),
    step: step / (QUIET.step + QUIET.row * ROWS + QUIET.context * ROWS * CONTEXT),
  };
}

/** The parameters of bench/fleet/service.ts for a machine that is so much slower. */
const scaled = (slow) => ({
  step: QUIET.step * slow.step,
  row: QUIET.row * slow.step,
  context: QUIET.context * slow.step,
  prompt: QUIET.prompt * slow.prompt,
  promptContext: QUIET.promptContext * slow.prompt,
  request: QUIET.request * slow.prompt,
  ...RULES,
});
const meanOf = (one, other) => ({ prompt: (one.prompt + other.prompt) / 2, step: (one.step + other.step) / 2 });

/** Requests per second of a worker that is never idle, with eight rows. */
function capacity({ step, row, context, prompt, promptContext, request }) {
  const rows = 8;
  const ofPrompt = request + PROMPT.mean * (prompt + (promptContext * PROMPT.mean) / 2);
  const held = rows * (PROMPT.mean + OUTPUT.mean / 2);
  return 1000 / (ofPrompt + (OUTPUT.mean * (step + row * rows + context * held)) / rows);
}

/** Sends requests at random times, whatever the worker does. Times in milliseconds. */
async function realLoad(url, { count, rate, seed }) {
  const random = sequence(seed);
  const exponential = (mean) => -mean * Math.log(1 - random());
  const draw = ({ least, mean }) => least + Math.round(exponential(mean - least));
  let at = 0;
  const plans = Array.from({ length: count }, (_, session) => {
    at += exponential(1000 / rate);
    return { at, session, prompt: draw(PROMPT), output: draw(OUTPUT) };
  });
  const began = performance.now();
  return Promise.all(
    plans.map(async (plan) => {
      await sleep(Math.max(0, plan.at - (performance.now() - began)));
      const sentAt = performance.now() - began;
      const { tokens } = await ask(url, job(freshPrompt(plan.prompt), plan.output));
      return { ...plan, at: sentAt, firstToken: tokens[0], end: tokens.at(-1) };
    }),
  );
}

/** Numbers from 0, below 1, from a seed (mulberry32). */
function sequence(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

async function scrapes({ url, pid }) {
  const ms = [];
  const cpu = cpuMs(pid);
  let bytes = 0;
  for (let round = 0; round < SCRAPES; round += 1) {
    const began = performance.now();
    bytes = Buffer.byteLength(await (await fetch(`${url}/metrics`)).text());
    ms.push(performance.now() - began);
  }
  const used = (cpuMs(pid) - cpu) / SCRAPES;
  const ready = Buffer.byteLength(await (await fetch(`${url}/ready`)).text());
  return { bytes, ready, cpu: used, ms: [quantile(ms, 0.5), quantile(ms, 0.05), quantile(ms, 0.95)] };
}

/** A receiver in a process of its own, as examples/pool-manager.mjs has it, and callers that connect anew. */
const RECEIVER = `
import http from 'node:http';
const table = new Map();
const server = http.createServer((request, response) => {
  let text = '';
  request.setEncoding('utf8').on('data', (part) => (text += part)).on('end', () => {
    const notice = JSON.parse(text);
    table.set(notice.instance_id, notice);
    response.writeHead(204).end();
  });
});
server.listen(0, '127.0.0.1', () => process.stdout.write(String(server.address().port) + '\\n'));
process.stdin.resume().on('end', () => process.exit());
`;

async function callbacks() {
  const receiver = spawn(process.execPath, ['--input-type=module', '-e', RECEIVER], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const port = Number(await new Promise((resolve) => receiver.stdout.once('data', resolve)));
  const body = (index) =>
    JSON.stringify({
      schema_version: 2,
      worker_id: `w${index}-g1`,
      instance_id: crypto.randomUUID(),
      pid: 12345 + index,
      started_at: new Date().toISOString(),
      model: 'SmolLM2-135M-Instruct',
      model_ref: 'SmolLM2-135M-Instruct',
      url: `http://10.0.12.${index % 250}:${30000 + index}`,
      uri: `http://10.0.12.${index % 250}:${30000 + index}`,
      device: 'cpu',
      slots: 16,
      context_length: 8192,
      vram_bytes: 0,
      memory_bytes: 310000000,
      capabilities: ['text-gen'],
      protocol: 'sse',
      version: '0.1.0',
      announcement: 1,
      reason: 'started',
    });
  const headers = {
    'Content-Type': 'application/json',
    'X-Correlation-Id': crypto.randomUUID(),
    'Idempotency-Key': `${crypto.randomUUID()}-1`,
    Authorization: `Bearer ${'x'.repeat(32)}`,
  };
  const call = (index) =>
    new Promise((resolve, reject) => {
      const request = http.request({ port, host: '127.0.0.1', method: 'POST', path: '/ready', agent: false, headers });
      request.once('response', (response) => response.resume().once('end', resolve)).once('error', reject);
      request.end(body(index));
    });
  const rates = [];
  try {
    for (let round = 0; round < 3; round += 1) {
      // The receiver's own time: the callers need the other core.
      const cpu = cpuMs(receiver.pid);
      let next = 0;
      const caller = async () => {
        for (; next < CALLBACKS; ) {
          next += 1;
          await call(next);
        }
      };
      await Promise.all(Array.from({ length: 100 }, caller));
      rates.push((CALLBACKS * 1000) / (cpuMs(receiver.pid) - cpu));
    }
  } finally {
    receiver.stdin.end();
  }
  return { rates, bytes: Buffer.byteLength(body(500)) };
}

/** Lines per second of a reader that divides stdout into lines, with and without JSON.parse. */
async function stdoutLines() {
  const line = `${JSON.stringify({
    timestamp: new Date().toISOString(),
    level: 'INFO',
    event: 'tokens.progress',
    actor: 'inference-engine',
    action: 'token_generate',
    target: crypto.randomUUID(),
    human: 'Generated 120 tokens at 84.1 tokens/s, with 3 other requests in the batch',
    cute: 'Tok, tok, tok: 120 little words hop along! 🐰',
    correlation_id: crypto.randomUUID(),
    worker_id: 'w3-g2',
    job_id: crypto.randomUUID(),
    run_id: 'q7f3a1',
    tokens_out: 120,
    tokens_per_sec: 84.1,
    emitted_by: 'rbees-workerd@0.1.0',
  })}\n`;
  const block = Buffer.from(line.repeat(100));
  const measure = async (use) => {
    const { createInterface } = await import('node:readline');
    const stream = new PassThrough();
    const reader = createInterface({ input: stream });
    let count = 0;
    // Processor time: other programs of the machine do not change it.
    const began = process.cpuUsage();
    reader.on('line', (text) => {
      use(text);
      count += 1;
    });
    for (let sent = 0; sent < LINES; sent += 100) if (!stream.write(block)) await new Promise(setImmediate);
    stream.end();
    await new Promise((resolve) => reader.once('close', resolve));
    const { user, system } = process.cpuUsage(began);
    return (count * 1e6) / (user + system);
  };
  const [parsed, divided] = [[], []];
  for (let round = 0; round < 3; round += 1) {
    parsed.push(await measure(JSON.parse));
    divided.push(await measure(() => undefined));
  }
  return { parsed, divided };
}
