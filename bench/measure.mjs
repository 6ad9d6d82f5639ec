/** Shared by the benches: the client of every server, the order of rounds, statistics and tables. */
import http from 'node:http';
import { messageParser } from '../dist/client/sse.js';

/** Most columns of a line of Markdown. */
const COLUMNS = 120;
const agent = new http.Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });

/**
 * Posts one job and reads its stream to the end; the same client for the worker and its peers. Calls
 * `onEvent(type, data, at, id)` with each event's name, its JSON text, the milliseconds since the POST was
 * sent, and its id. Rejects when `signal` aborts, after hanging up.
 */
export function execute(url, body, onEvent, signal) {
  return post(`${url}/execute`, { job_id: crypto.randomUUID(), ...body }, onEvent, signal);
}

/** Posts JSON. The answer's events go to `onEvent`; an answer that is not 2xx rejects with its text. */
export function post(url, body, onEvent = () => undefined, signal = undefined) {
  const began = performance.now();
  const text = JSON.stringify(body);
  const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) };
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method: 'POST', agent, headers, signal }, (response) => {
      const ok = response.statusCode >= 200 && response.statusCode < 300;
      let [at, refusal] = [0, ''];
      const feed = messageParser(({ id, event, data }) => onEvent(event, data, at, id));
      response.on('data', (chunk) => {
        at = performance.now() - began;
        if (ok) feed(chunk);
        else refusal += chunk;
      });
      response.once('error', reject).once('end', () => (ok ? resolve() : reject(new Error(refusal))));
    });
    request.once('error', reject);
    request.end(text);
  });
}

/**
 * Runs one job. Returns when it was sent, when each of its token events arrived after that (milliseconds),
 * and its `end`, which is absent if `signal` ended the job. Calls `onEvent` with all events.
 */
export async function ask(url, body, { signal, onEvent = () => undefined } = {}) {
  const outcome = { sent: performance.now(), tokens: [], end: undefined };
  let failure;
  const take = (type, data, at) => {
    if (type === 'token') outcome.tokens.push(at);
    if (type === 'end') outcome.end = JSON.parse(data);
    if (type === 'error') failure = data;
    onEvent(type, data, at);
  };
  await execute(url, body, take, signal).catch((error) => {
    if (!signal?.aborted) throw error;
  });
  if (failure !== undefined && !signal?.aborted) throw new Error(failure);
  return outcome;
}

/** Runs all jobs, at most `clients` at once. Each client sends its next job when its last one has ended. */
export async function askAll(url, bodies, clients = bodies.length) {
  const [waiting, outcomes] = [[...bodies], []];
  const client = async () => {
    for (let body = waiting.shift(); body; body = waiting.shift()) outcomes.push(await ask(url, body));
  };
  await Promise.all(Array.from({ length: clients }, client));
  return outcomes;
}

/** A job of exact length: greedy, without a template, always `tokens` tokens. */
export const job = (prompt, tokens) => ({ prompt, raw: true, temperature: 0, max_tokens: tokens, min_tokens: tokens });

let lastPrompt = 0;

/**
 * A text of `length` visible ASCII characters, one token each for the byte tokenizer of a random model. It
 * has another beginning than the texts before it, so that no cache helps.
 */
export function freshPrompt(length) {
  lastPrompt += 1;
  const text = Array.from({ length }, (_, index) => 33 + ((index * 37 + index * index + lastPrompt * 101) % 90));
  text[0] = 33 + (lastPrompt % 90);
  text[1] = 33 + (Math.floor(lastPrompt / 90) % 90);
  return String.fromCharCode(...text);
}

/**
 * Most prompt tokens that a fresh prompt may find in a slot by chance: some texts begin with the same
 * character.
 */
const CHANCE = 4;

/**
 * @throws Error unless every job has the intended number of tokens and found nothing of its prompt in a
 * cache.
 */
export function expectCold(outcomes, tokensIn, tokensOut) {
  for (const { end } of outcomes) {
    const { tokens_in, tokens_out, cached_tokens = 0 } = end;
    if (tokens_in !== tokensIn || tokens_out !== tokensOut || cached_tokens > CHANCE)
      throw new Error(`The job differs from the plan (${tokensIn} in, ${tokensOut} out, cold): ${JSON.stringify(end)}`);
  }
  return outcomes;
}

/** Most streams that were between their first and their last token at the same moment. */
export function mostAtOnce(outcomes) {
  const spans = outcomes.map(({ sent, tokens }) => [sent + tokens[0], sent + tokens.at(-1)]);
  return Math.max(...spans.map(([at]) => spans.filter(([from, to]) => from <= at && at <= to).length));
}

/** Tokens per second of one stream after its first token: the inverse of the time per output token. */
export const decodeRate = ({ tokens, end }) => ((end.tokens_out - 1) * 1000) / (tokens.at(-1) - tokens[0]);

/** Tokens per second of all jobs together, from the first POST to the last token. */
export function totalRate(outcomes) {
  const from = Math.min(...outcomes.map(({ sent }) => sent));
  const to = Math.max(...outcomes.map(({ sent, tokens }) => sent + tokens.at(-1)));
  const count = outcomes.reduce((sum, { end }) => sum + end.tokens_out, 0);
  return (count * 1000) / (to - from);
}

/**
 * Milliseconds between the token events of one stream that arrived in [from, to] (milliseconds since it was
 * sent).
 */
export const gapsOf = ({ tokens }, from = 0, to = Number.POSITIVE_INFINITY) =>
  tokens.flatMap((at, index) => (index > 0 && tokens[index - 1] >= from && at <= to ? [at - tokens[index - 1]] : []));

/** The number of rounds of a bench: `usual`, or fewer with BENCH_ROUNDS=n for a quick look. */
export const rounds = (usual) => Math.min(usual, Number(process.env.BENCH_ROUNDS ?? usual));

/**
 * Runs the sides in turn, in reverse order every second round, so that other load of the machine affects all
 * of them: `{name: async () => figure}` gives `{name: [figure of each round]}`.
 */
export async function interleaved(count, sides) {
  const figures = Object.fromEntries(Object.keys(sides).map((name) => [name, []]));
  for (let round = 0; round < count; round += 1) {
    const turns = Object.entries(sides);
    if (round % 2 === 1) turns.reverse();
    for (const [name, measure] of turns) figures[name].push(await measure());
  }
  return figures;
}

/** The ratio of each round: ours to theirs. */
export const ratios = (ours, theirs) => ours.map((value, round) => value / theirs[round]);

/** A quantile, interpolated linearly between two values. */
export function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b);
  const place = q * (sorted.length - 1);
  const below = sorted[Math.floor(place)];
  return below + (sorted[Math.ceil(place)] - below) * (place % 1);
}

/** `median (lowest … highest)`. */
export function spread(values, digits = 1) {
  const show = (value) => value.toFixed(digits);
  if (values.length === 1) return show(values[0]);
  return `${show(quantile(values, 0.5))} (${show(quantile(values, 0))} … ${show(quantile(values, 1))})`;
}

/** Quantiles, as `1.2 / 3.4 / 5.6`. */
export const quantiles = (values, shares = [0.5, 0.95, 0.99], digits = 2) =>
  shares.map((share) => quantile(values, share).toFixed(digits)).join(' / ');

/** A Markdown table. */
export function table(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** A goal and the measurement: the median of `values` must be at least `least`, or at most `most`. */
export function goal(what, { least, most, unit = '', digits = 2 }, values) {
  const median = quantile(values, 0.5);
  const wanted = least === undefined ? `≤ ${most}${unit}` : `≥ ${least}${unit}`;
  const reached = least === undefined ? median <= most : median >= least;
  return { what, wanted, figure: spread(values, digits), reached };
}

/** A section of the page: paragraphs and tables, and its goals. */
export function section(title, parts, goals = []) {
  return { markdown: wrapped([`## ${title}`, ...parts, ''].join('\n\n').trimEnd().concat('\n')), goals };
}

/**
 * Markdown with its paragraphs and list items broken into lines of at most 120 columns. Headings, tables and
 * blank lines stay as they are. A paragraph is one block without blank lines.
 */
export const wrapped = (markdown) =>
  markdown
    .split('\n\n')
    .map((block) =>
      /^\s*[#|]/.test(block)
        ? block
        : block
            .split(/\n(?=- )/)
            .map(brokenIntoLines)
            .join('\n'),
    )
    .join('\n\n');

function brokenIntoLines(paragraph) {
  const indent = paragraph.startsWith('- ') ? '  ' : '';
  const lines = [''];
  for (const word of paragraph.trim().split(/\s+/)) {
    const line = lines.at(-1);
    if (line === '') lines[lines.length - 1] = word;
    else if (line.length + word.length < COLUMNS) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(indent + word);
  }
  return paragraph.endsWith('\n') ? `${lines.join('\n')}\n` : lines.join('\n');
}
