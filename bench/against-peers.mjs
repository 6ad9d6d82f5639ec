/**
 * The speed of the worker against transformers.js and node-llama-cpp, on the same weights and the same
 * machine.
 */
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
import { ggufFile, modelFolder, workerFlags } from './models.mjs';
import { startPeer, startWorker } from './processes.mjs';

const PROMPT = 448;
const TOKENS = 64;
const STREAMS = 16;
const CONTEXT = 1024;
/**
 * Shapes of the 16 streams. transformers.js runs them one after another, so only `inTurn` of its streams are
 * timed.
 */
const MANY = {
  short: { prompt: 32, tokens: 64, inTurn: 4 },
  long: { prompt: 64, tokens: 448, inTurn: 2 },
};
const OURS = 'rbees-workerd';
const TRANSFORMERS = 'transformers.js';
const LLAMA = 'node-llama-cpp';

export async function againstPeers() {
  const q4 = await compare('q4', { alone: rounds(7), short: rounds(3), long: rounds(2) });
  const q8 = await compare('q8', { alone: rounds(2), short: rounds(1) });
  return section(
    'Against peers',
    [
      `Over HTTP, with one client for all. The peers are \`generate()\` of transformers.js with a streamer behind Fastify, one generation at a time, and node-llama-cpp behind Fastify. All use all cores, greedy, and the same random weights (their 4 and 8 bits: MatMulNBits in ONNX, Q4_0 and Q8_0 in GGUF, blocks of 32). Prompts are the same ids and share no beginning. Nothing drafts or stops early. The sides take turns in each round, after one warm-up of the same work each.`,
      `One stream: ${PROMPT} prompt tokens, ${TOKENS} generated. Decode is tokens/s after the first token; prefill is prompt tokens divided by the time to first token. node-llama-cpp has a context of one sequence there, which is faster than one of ${STREAMS}. ${STREAMS} streams start at once; their figure is tokens/s in total, from the first POST to the last token. Short streams have ${shown(MANY.short)}. Long streams have ${shown(MANY.long)}, which ends at context 512. Of transformers.js, ${MANY.short.inTurn} and ${MANY.long.inTurn} streams are timed, because it runs them one after another. fp32 is not compared: node-llama-cpp has no such file here.`,
      ...show('q4', q4),
      ...show('q8', q8),
    ],
    goals(q4),
  );
}

/**
 * Figures of each round of each side, `{decode, prefill, short, long}`, and how many of the streams really
 * ran at once.
 */
async function compare(dtype, { alone, ...many }) {
  const ours = await startWorker([...workerFlags(dtype), '--slots', STREAMS, '--context', CONTEXT].map(String));
  const transformers = await startPeer('transformers-server.mjs', [modelFolder(dtype), dtype]);
  const llama = (sequences) => startPeer('llama-server.mjs', [ggufFile(dtype), sequences, CONTEXT].map(String));
  const single = { [OURS]: ours, [TRANSFORMERS]: transformers, [LLAMA]: await llama(1) };
  const figures = { decode: {}, prefill: {}, atOnce: {} };
  for (const { url } of Object.values(single)) await stream(url);
  for (const [name, results] of Object.entries(
    await interleaved(
      alone,
      sides(single, ({ url }) => stream(url)),
    ),
  )) {
    figures.decode[name] = results.map(({ decode }) => decode);
    figures.prefill[name] = results.map(({ prefill }) => prefill);
  }
  await single[LLAMA].stop();
  const servers = { ...single, [LLAMA]: await llama(STREAMS) };
  for (const [shape, count] of Object.entries(many)) {
    const all = ({ url }, name) => streams(url, MANY[shape], name === TRANSFORMERS ? MANY[shape].inTurn : STREAMS);
    if (shape === 'short') for (const name of [OURS, LLAMA]) await all(servers[name], name);
    const results = await interleaved(count, sides(servers, all));
    figures[shape] = Object.fromEntries(
      Object.entries(results).map(([name, each]) => [name, each.map(({ rate }) => rate)]),
    );
    for (const [name, each] of Object.entries(results))
      figures.atOnce[name] = Math.min(...each.map(({ atOnce }) => atOnce));
  }
  await Promise.all(Object.values(servers).map(({ stop }) => stop()));
  return figures;
}

const shown = ({ prompt, tokens }) => `${prompt} prompt tokens and ${tokens} generated`;

const sides = (servers, measure) =>
  Object.fromEntries(Object.entries(servers).map(([name, server]) => [name, () => measure(server, name)]));

async function stream(url) {
  const outcome = await ask(url, job(freshPrompt(PROMPT), TOKENS));
  expectCold([outcome], PROMPT, TOKENS);
  return { decode: decodeRate(outcome), prefill: (PROMPT * 1000) / outcome.tokens[0] };
}

async function streams(url, { prompt, tokens }, count) {
  const bodies = Array.from({ length: count }, () => job(freshPrompt(prompt), tokens));
  const outcomes = expectCold(await askAll(url, bodies), prompt, tokens);
  return { rate: totalRate(outcomes), atOnce: mostAtOnce(outcomes) };
}

const LABELS = {
  decode: 'decode, 1 stream',
  prefill: 'prefill',
  short: `${STREAMS} short streams in total`,
  long: `${STREAMS} long streams in total`,
};

function show(dtype, figures) {
  const rows = Object.entries(LABELS).flatMap(([key, label]) => {
    if (!figures[key]) return [];
    const { [OURS]: ours, [TRANSFORMERS]: transformers, [LLAMA]: llama } = figures[key];
    const rates = [ours, transformers, llama].map((values) => spread(values));
    return [[label, ...rates, spread(ratios(ours, transformers), 2), spread(ratios(ours, llama), 2)]];
  });
  const names = [OURS, TRANSFORMERS, LLAMA];
  const atOnce = names.map((name) => `${name} ${figures.atOnce[name]}`).join(', ');
  return [
    `${dtype}, tokens/s (concurrent streams: ${atOnce}):`,
    table(['', ...names, `× ${TRANSFORMERS}`, `× ${LLAMA}`], rows),
  ];
}

function goals({ decode, prefill, short, long }) {
  const against = (figures, peer, what, least) =>
    goal(`${what}, against ${peer}`, { least, unit: '×' }, ratios(figures[OURS], figures[peer]));
  const better = prefill[TRANSFORMERS].map((rate, round) => Math.max(rate, prefill[LLAMA][round]));
  const one = 'decode, 1 stream, q4 135 M, context 512';
  return [
    against(decode, TRANSFORMERS, one, 2.8),
    against(decode, LLAMA, one, 1.3),
    against(long, TRANSFORMERS, `${STREAMS} streams to context 512, tokens/s in total`, 6),
    against(long, LLAMA, `${STREAMS} streams to context 512, tokens/s in total`, 1.3),
    against(short, TRANSFORMERS, `${STREAMS} streams to context 96, tokens/s in total`, 6),
    against(short, LLAMA, `${STREAMS} streams to context 96, tokens/s in total`, 1.3),
    goal(
      `prefill ${PROMPT} tokens, against the better peer of each round`,
      { least: 1, unit: '×' },
      ratios(prefill[OURS], better),
    ),
  ];
}
