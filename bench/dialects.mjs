/** The cost of a dialect: streams of chat completions beside streams of `/execute`, on one worker. */
import { linkSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ask,
  decodeRate,
  freshPrompt,
  goal,
  interleaved,
  post,
  ratios,
  rounds,
  section,
  spread,
  table,
  totalRate,
} from './measure.mjs';
import { modelFolder } from './models.mjs';
import { startWorker } from './processes.mjs';

const ROUNDS = 7;
const STREAMS = [1, 16];
const PROMPT = 32;
const TOKENS = 64;
const LEAST = 0.98;
const MODELS = {
  'q4 135 M': () => {
    const folder = withTemplate(modelFolder('q4'));
    return { folder, flags: ['--model', folder, '--dtype', 'q4', '--speculation', 'off', '--context', '256'] };
  },
  // The worst case: a step takes a fraction of a millisecond, and the worker process limits the streams.
  'embedded 0.9 M': () => ({ flags: ['--speculation', 'off'] }),
};

export async function dialects() {
  const rows = [];
  const goals = [];
  for (const [name, open] of Object.entries(MODELS)) {
    const { folder, flags } = open();
    const worker = await startWorker([...flags, '--slots', String(Math.max(...STREAMS))]);
    for (const streams of STREAMS) {
      const sides = {
        native: () => rateOf(streams, () => native(worker.url)),
        chat: () => rateOf(streams, () => chat(worker.url)),
      };
      await interleaved(1, sides);
      const figures = await interleaved(rounds(ROUNDS), sides);
      const ratio = ratios(figures.chat, figures.native);
      rows.push([name, streams, spread(figures.native, 0), spread(figures.chat, 0), spread(ratio, 2)]);
      if (folder)
        goals.push(goal(`chat completions against /execute, ${streams} streams`, { least: LEAST, unit: '×' }, ratio));
    }
    await worker.stop();
    if (folder) rmSync(folder, { recursive: true });
  }
  return section(
    'Cost of a dialect',
    [
      `Streams of \`/v1/chat/completions\` and of \`/execute\` with the same messages, in turn on one worker, ${TOKENS} tokens each. One stream: tokens/s after the first token. ${Math.max(...STREAMS)} streams: tokens/s in total. The goal is for the 135 M model.`,
      table(['model', 'streams', '/execute, tokens/s', 'chat, tokens/s', 'ratio'], rows),
    ],
    goals,
  );
}

/** A copy of a model's folder, by hard links where possible, with a chat template. */
function withTemplate(folder) {
  const copy = mkdtempSync(join(tmpdir(), 'bench-template-'));
  for (const name of readdirSync(folder, { recursive: true })) {
    const from = join(folder, name);
    if (statSync(from).isDirectory()) mkdirSync(join(copy, name), { recursive: true });
    else {
      mkdirSync(join(copy, name, '..'), { recursive: true });
      linkSync(from, join(copy, name));
    }
  }
  writeFileSync(join(copy, 'chat_template.jinja'), '{% for m in messages %}{{ m.content }}{% endfor %}');
  return copy;
}

async function rateOf(streams, run) {
  const outcomes = await Promise.all(Array.from({ length: streams }, run));
  for (const { end } of outcomes)
    if (end.tokens_out !== TOKENS) throw new Error(`${end.tokens_out} tokens instead of ${TOKENS}`);
  const [only] = outcomes;
  return streams === 1 ? decodeRate(only) : totalRate(outcomes);
}

const body = () => ({
  messages: [{ role: 'user', content: freshPrompt(PROMPT) }],
  temperature: 0,
  max_tokens: TOKENS,
  min_tokens: TOKENS,
});

const native = (url) => ask(url, body());

async function chat(url) {
  const outcome = { sent: performance.now(), tokens: [], end: undefined };
  const request = { ...body(), stream: true, stream_options: { include_usage: true } };
  await post(`${url}/v1/chat/completions`, request, (_type, data, at) => {
    // As `ask`: the client parses the last event only, so its own work does not count.
    if (data.startsWith('{"error"')) throw new Error(data);
    if (data.includes('"content":')) outcome.tokens.push(at);
    if (data.includes('"choices":[]')) outcome.end = { tokens_out: JSON.parse(data).usage.completion_tokens };
  });
  return outcome;
}
