/** The cost of the narration in a stream: streams with and without it. */
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

const ROUNDS = 9;
const STREAMS = 8;
const SIDES = {
  on: ['--narration', 'full'],
  off: ['--narration', 'off'],
};
const MODELS = {
  'q4 135 M': { flags: () => [...workerFlags('q4'), '--context', '256'], prompt: 32, tokens: 48, requests: STREAMS },
  // The tokenizer of this model makes fewer tokens of the prompt; prompt and output fit its context.
  'embedded 0.9 M': { flags: () => [], prompt: 32, tokens: 200, requests: 4 * STREAMS },
};

export async function narrationCost() {
  const rows = [];
  const goals = [];
  for (const [name, model] of Object.entries(MODELS)) {
    const figures = await measure(model);
    const rates = (way) => figures[way].map(({ rate }) => rate);
    const cpu = (way) => figures[way].map(({ cpuMicros }) => cpuMicros);
    const cells = Object.keys(SIDES).flatMap((way) => [spread(rates(way), 0), spread(cpu(way), 0)]);
    const ratio = ratios(rates('on'), rates('off'));
    rows.push([name, ...cells, spread(ratio, 2)]);
    if (name === 'q4 135 M') goals.push(goal(`narration on against off, ${name}`, { least: 0.97, unit: '×' }, ratio));
  }
  return section(
    'Cost of narration',
    [
      `${STREAMS} streams over HTTP, tokens/s in total, and CPU time of the worker process per token (without the engine, with garbage collection). on: \`--narration full\`. off: \`--narration off\`: streams carry tokens only, and the log has every line either way (the cost of a line is measured below). The embedded model is the worst case: a step takes a fraction of a millisecond, and the worker process limits it. The goal is for the 135 M model.`,
      table(['model', ...Object.keys(SIDES).flatMap((way) => [`${way}, tokens/s`, 'CPU µs/token']), 'on / off'], rows),
    ],
    goals,
  );
}

async function measure({ flags, prompt, tokens, requests }) {
  const sides = {};
  const workers = [];
  for (const [way, extra] of Object.entries(SIDES)) {
    const worker = await startWorker([...flags(), '--slots', String(STREAMS), ...extra]);
    workers.push(worker);
    sides[way] = () => costOf(worker, { prompt, tokens, requests });
  }
  await interleaved(1, sides);
  const figures = await interleaved(rounds(ROUNDS), sides);
  await Promise.all(workers.map(({ stop }) => stop()));
  return figures;
}

async function costOf({ url, pid }, { prompt, tokens, requests }) {
  const bodies = Array.from({ length: requests }, () => job(freshPrompt(prompt), tokens));
  const before = activity(pid).cpuMs;
  const outcomes = await askAll(url, bodies, STREAMS);
  const ms = activity(pid).cpuMs - before;
  return { rate: totalRate(outcomes), cpuMicros: (ms * 1000) / (requests * tokens) };
}
