/** The speed of the engine alone: prompts, and rows decoded together at growing context. */
import { freshIds, openEngine, sequence } from './engine.mjs';
import { expectCold, quantile, rounds, section, spread, table } from './measure.mjs';

const ROUNDS = 3;
const PREFILL = 448;
/** Steps counted in one round of one cell, after the last row has joined. */
const STEPS = 16;
/** Time limit to fill the rows of one context; later rows are left out. */
const FILL_MS = 75_000;
const GRIDS = {
  q4: { rows: [1, 2, 4, 8, 16], contexts: [128, 512, 2048] },
  q8: { rows: [1, 4, 16], contexts: [512] },
  fp32: { rows: [1, 4, 16], contexts: [512] },
};

export async function engineAlone() {
  const parts = [
    'The engine runs in the process of the bench: no bridge, no HTTP, no text, no drafts. Prefill: a fresh prompt of 448 tokens and one token; prompt tokens divided by the time to that token. ' +
      `Decode: tokens/s of all rows together, greedy, over ${STEPS} steps in which all rows decode; the context is the number of tokens that each row holds before. ` +
      `\`–\`: filling the rows would have taken more than ${FILL_MS / 1000} s.`,
  ];
  for (const [dtype, grid] of Object.entries(GRIDS)) parts.push(...(await measure(dtype, grid)));
  return section('The engine alone', parts);
}

async function measure(dtype, { rows, contexts }) {
  const most = Math.max(...rows);
  const engine = openEngine(dtype, most, Math.max(...contexts) + STEPS + most);
  try {
    const prefill = await prefillRates(engine);
    // Each row grows from context to context and begins with an id of its own, so that its prefix finds its
    // slot again.
    const texts = Array.from({ length: most }, (_, row) => [row, ...freshIds(Math.max(...contexts) - 1)]);
    const cells = [];
    for (const [index, context] of contexts.entries()) {
      const msPerRow = ((context - (contexts[index - 1] ?? 0)) * 1000) / quantile(prefill, 0.5);
      const filled = await fill(engine, texts, context, msPerRow);
      cells.push([context, ...(await decodeCells(engine, texts, context, rows, filled))]);
    }
    return [
      `${dtype}: prefill ${spread(prefill, 0)} tokens/s; decode, tokens/s:`,
      table(['context', ...rows.map((count) => `${count} ${count === 1 ? 'row' : 'rows'}`)], cells),
    ];
  } finally {
    engine.close();
  }
}

async function prefillRates(engine) {
  const rates = [];
  for (let round = 0; round <= rounds(ROUNDS); round += 1) {
    const outcome = await engine.run(sequence(freshIds(PREFILL), 1));
    expectCold([outcome], PREFILL, 1);
    if (round > 0) rates.push((PREFILL * 1000) / outcome.tokens[0]);
  }
  return rates;
}

/**
 * Brings rows to `context` tokens one after another, each in about `msPerRow`. Returns the number of rows
 * for which there was time.
 */
async function fill(engine, texts, context, msPerRow) {
  const began = performance.now();
  for (const [row, text] of texts.entries()) {
    if (performance.now() - began + msPerRow > FILL_MS) return row;
    await engine.run(sequence(text.slice(0, context), 1));
  }
  return texts.length;
}

async function decodeCells(engine, texts, context, rows, filled) {
  const rates = new Map(rows.map((count) => [count, []]));
  for (let round = 0; round < rounds(ROUNDS); round += 1) {
    for (const count of rows.filter((wanted) => wanted <= filled))
      rates.get(count).push(await decodeTogether(engine, texts, context, count));
  }
  return rows.map((count) => (count <= filled ? spread(rates.get(count), 0) : '–'));
}

/** Tokens per second from the first token of the last row to the last token of the first row. */
async function decodeTogether(engine, texts, context, count) {
  // The last two tokens of each row are computed again. At most one row joins per step, so the first row has
  // made up to `count` tokens when the last one joins.
  const runs = texts.slice(0, count).map((text) => engine.run(sequence(text.slice(0, context), STEPS + count)));
  const outcomes = await Promise.all(runs);
  const stray = outcomes.find(({ end }) => end.cached_tokens !== context - 2);
  if (stray) throw new Error(`A row was computed again: ${JSON.stringify(stray.end)}`);
  const times = outcomes.map(({ sent, tokens }) => tokens.map((at) => sent + at));
  const from = Math.max(...times.map((row) => row[0]));
  const to = Math.min(...times.map((row) => row.at(-1)));
  const tokens = times.flat().filter((at) => at > from && at <= to).length;
  return (tokens * 1000) / (to - from);
}
