/** The cost of sampling one id, by rule, shape of the logits and size of the vocabulary. */
import { Random } from '../dist/engine/sampling/random.js';
import { Sampler } from '../dist/engine/sampling/sampler.js';
import { GREEDY, SAMPLING, SAMPLING_NAMES, WARM_UP } from '../dist/protocol/sampling.js';
import { quantile, rounds, section, spread, table } from './measure.mjs';

const VOCABULARIES = [49_152, 128_256];
/** Rows that are sampled in turn, as in a step. */
const ROWS = 16;
const ROUNDS = 11;
/** The penalties of the warm-up: every one is on. */
const PENALTIES = Object.fromEntries(
  SAMPLING_NAMES.filter((name) => SAMPLING[name].stage === 'penalty').map((name) => [name, WARM_UP[name]]),
);
const SETTINGS = {
  greedy: {},
  'temperature 0.8': { temperature: 0.8 },
  '… and top-k 50': { temperature: 0.8, topK: 50 },
  '… and top-p 0.95': { temperature: 0.8, topP: 0.95 },
  '… and min-p 0.05': { temperature: 0.8, minP: 0.05 },
  '… and penalties, 500 ids seen': { temperature: 0.8, ...PENALTIES },
};
/** Tests for the ids that a grammar allows: most words of the mask have a hole, are full, or are empty. */
const GRAMMARS = {
  'greedy, a grammar of most ids': (id) => id % 37 > 0,
  '… and its long string': (id) => id % 1000 > 60,
  '… and its few hundred ids': (id) => id % 400 === 0,
};

/** @param samplers name → class. A second class, of another build, adds a column with the ratio. */
export async function sampler(samplers = { µs: Sampler }) {
  const names = Object.keys(samplers);
  const rows = [];
  for (const vocabulary of VOCABULARIES) {
    for (const [shape, draw] of Object.entries({ peaked, flat })) {
      const random = Random.seeded(vocabulary);
      const logits = Array.from({ length: ROWS }, () => draw(vocabulary, random));
      const made = names.map((name) => new samplers[name](vocabulary));
      for (const [setting, sampling] of Object.entries(SETTINGS))
        rows.push([vocabulary, shape, setting, ...columns(measured(made, logits, { ...GREEDY, ...sampling }))]);
      for (const [setting, isAllowed] of Object.entries(GRAMMARS))
        rows.push([vocabulary, shape, setting, ...columns(measured(made, logits, GREEDY, isAllowed))]);
    }
  }
  return section('Sampling one id', [
    `Microseconds per row of a step of ${ROWS} rows, ${ROUNDS} rounds. Peaked: most logits are normal and a few are high, as in a real model. Flat: all logits are close together, as in a random model.`,
    table(['vocabulary', 'logits', 'rules', ...names, ...(names.length > 1 ? ['ratio'] : [])], rows),
  ]);
}

function columns(times) {
  const ratio = times.length > 1 ? [(quantile(times[1], 0.5) / quantile(times[0], 0.5)).toFixed(2)] : [];
  return [...times.map((each) => spread(each, 0)), ...ratio];
}

/** Microseconds per row of each sampler, by round. The samplers take turns; the first two rounds warm up. */
function measured(made, logits, sampling, isAllowed) {
  const constraint = isAllowed && constraintOf(logits[0].length, isAllowed);
  const drawings = made.map(() => ({ ...drawing(sampling, logits[0].length), constraint }));
  const times = made.map(() => []);
  for (let round = -2; round < rounds(ROUNDS); round += 1) {
    for (const [index, each] of made.entries()) {
      const began = performance.now();
      for (const row of logits) each.sample(row, drawings[index]);
      if (round >= 0) times[index].push(((performance.now() - began) * 1000) / ROWS);
    }
  }
  return times;
}

/** A constraint whose mask is known. */
function constraintOf(vocabulary, isAllowed) {
  const bits = new Uint32Array(Math.ceil(vocabulary / 32));
  for (let id = 0; id < vocabulary; id += 1) if (isAllowed(id)) bits[id >>> 5] |= 1 << (id & 31);
  return { mask: { bits }, mayEnd: () => false, onlyId: () => undefined };
}

function drawing(sampling, vocabulary) {
  const seen = Array.from({ length: 500 }, (_, index) => (index * 7919) % vocabulary);
  return {
    request: { sampling },
    endIds: new Set(),
    belowMinTokens: false,
    occurrences: sampling.repetitionPenalty === 1 ? undefined : { ids: seen, outputCounts: seen.map(() => 1) },
    random: Random.seeded(1),
  };
}

function peaked(vocabulary, random) {
  const logits = Float32Array.from({ length: vocabulary }, () => normal(random) * 2);
  for (let high = 0; high < 40; high += 1) logits[Math.floor(random.uniform() * vocabulary)] = 8 + normal(random) * 3;
  return logits;
}

function flat(vocabulary, random) {
  return Float32Array.from({ length: vocabulary }, () => normal(random) * 0.1);
}

function normal(random) {
  return Math.sqrt(-2 * Math.log(1 - random.uniform())) * Math.cos(2 * Math.PI * random.uniform());
}
