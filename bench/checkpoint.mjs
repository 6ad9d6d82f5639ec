/**
 * A float checkpoint (safetensors) that the worker opens by itself: its graph against the ONNX file of the
 * same weights, and the worker against transformers.js on that file.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { candidateOf } from '../dist/lifecycle/load-model.js';
import { readDecoder } from '../dist/model/checkpoint/read-decoder.js';
import { locateModel } from '../dist/model/locate.js';
import { engineOptions, freshIds, OpenEngine, sequence } from './engine.mjs';
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
import { checkpointFolder, modelFolder, weightFile } from './models.mjs';
import { startPeer, startWorker } from './processes.mjs';

const CONTEXT = 1024;
const SLOTS = 16;
/** Tokens of a decode figure, and the prompt before them. */
const TOKENS = 48;
const PROMPT = 96;
/** The prompts are the same in each round, so that their rows keep them and join within a few steps. */
const PROMPTS = Array.from({ length: SLOTS }, (_, row) => [row, ...freshIds(PROMPT - 1)]);
/** The shape of the streams over HTTP; transformers.js runs its streams one after another. */
const STREAM = { prompt: 64, tokens: 64, inTurn: 2 };
const OWN = 'own graph, mapped';
const EXPORT = 'ONNX file, own copy';
const MAPPED = 'ONNX file, mapped';
const OURS = 'rbees-workerd';
const TRANSFORMERS = 'transformers.js';

export async function checkpoint() {
  const graphs = await compareGraphs();
  const served = await compareServers();
  return section(
    'A checkpoint in safetensors',
    [
      `The worker builds the graph of a checkpoint itself. All sides have the same random float32 weights of the 135 M shape. In one process, engines decode ${TOKENS} tokens after a prompt of ${PROMPT}, in turn. Mapped: the weights that the runtime has saved, which all workers share; own copy: as with \`--weights-cache off\`. ms of a step:`,
      table(
        ['rows', OWN, EXPORT, MAPPED, `${OWN} / ${EXPORT}`, `${OWN} / ${MAPPED}`],
        Object.entries(graphs).map(([rows, { [OWN]: own, [EXPORT]: copied, [MAPPED]: mapped }]) => [
          rows,
          ...[own, copied, mapped].map((values) => spread(values, 2)),
          ...[copied, mapped].map((values) => spread(ratios(own, values), 3)),
        ]),
      ),
      `Over HTTP, against \`generate()\` of transformers.js with the ONNX file; ${STREAM.prompt} prompt tokens, ${STREAM.tokens} generated, tokens/s. transformers.js runs streams one after another, so ${STREAM.inTurn} of its ${SLOTS} streams are timed. At once: ${served.atOnce} streams of the worker.`,
      table(
        ['', OURS, TRANSFORMERS, `× ${TRANSFORMERS}`],
        ['one', 'many'].map((kind) => {
          const { [OURS]: ours, [TRANSFORMERS]: theirs } = served[kind];
          const label = kind === 'one' ? '1 stream' : `${SLOTS} streams`;
          return [label, spread(ours), spread(theirs), spread(ratios(ours, theirs), 2)];
        }),
      ),
    ],
    [
      ...Object.entries(graphs).map(([rows, { [OWN]: own, [EXPORT]: copied }]) =>
        goal(`step of the ${OWN}, against the ${EXPORT}, rows: ${rows}`, { most: 0.92 }, ratios(own, copied)),
      ),
      goal(`1 stream of a checkpoint, against ${TRANSFORMERS}`, { least: 2.8, unit: '×' }, ratioOf(served.one)),
      goal(`${SLOTS} streams, against ${TRANSFORMERS}`, { least: 4, unit: '×' }, ratioOf(served.many)),
    ],
  );
}

const ratioOf = ({ [OURS]: ours, [TRANSFORMERS]: theirs }) => ratios(ours, theirs);

/**
 * Milliseconds of a step by the number of rows and the side: `{1: {own: […], …}, 16: …}`. The place of the
 * weights in memory changes a step by up to a tenth: the engines open in one order, then in the other.
 */
async function compareGraphs() {
  const weightsCache = { folder: mkdtempSync(join(tmpdir(), 'weights-')) };
  const exported = engineOptions(`${modelFolder('fp32')}/${weightFile('fp32')}`, SLOTS, CONTEXT);
  const own = { ...exported, weightsCache, candidates: await candidatesIn(checkpointFolder('fp32')) };
  const sides = Object.entries({ [OWN]: own, [EXPORT]: exported, [MAPPED]: { ...exported, weightsCache } });
  try {
    const first = await stepsInOrder(sides);
    const second = await stepsInOrder([...sides].reverse());
    const both = (rows, name) => [...first[rows][name], ...second[rows][name]];
    return Object.fromEntries(
      Object.keys(first).map((rows) => [rows, Object.fromEntries(sides.map(([name]) => [name, both(rows, name)]))]),
    );
  } finally {
    rmSync(weightsCache.folder, { recursive: true });
  }
}

/** The same for engines that open in one order. */
async function stepsInOrder(sides) {
  const engines = sides.map(([name, options]) => [name, new OpenEngine(options)]);
  try {
    const figures = {};
    for (const rows of [1, SLOTS]) {
      const turns = Object.fromEntries(engines.map(([name, engine]) => [name, () => msOfStep(engine, rows)]));
      await interleaved(1, turns);
      figures[rows] = await interleaved(rounds(6), turns);
    }
    return figures;
  } finally {
    for (const [, engine] of engines) engine.close();
  }
}

/** The candidate that the worker gives to its engine for a folder. */
async function candidatesIn(folder) {
  const files = await locateModel(folder);
  const decoder = await readDecoder(files, CONTEXT);
  return files.choices.map((choice) => candidateOf(choice, decoder));
}

/** Milliseconds of a step, between the first token of the last row and the last token of the first row. */
async function msOfStep(engine, rows) {
  const runs = PROMPTS.slice(0, rows).map((prompt) => engine.run(sequence(prompt, TOKENS)));
  const times = (await Promise.all(runs)).map(({ sent, tokens }) => tokens.map((at) => sent + at));
  const from = Math.max(...times.map((row) => row[0]));
  const to = Math.min(...times.map((row) => row.at(-1)));
  const steps = times.flat().filter((at) => at > from && at <= to).length / rows;
  return (to - from) / steps;
}

/** Tokens per second of one stream and of all streams, by server. */
async function compareServers() {
  const flags = ['--model', checkpointFolder('fp32'), '--speculation', 'off', '--slots', SLOTS, '--context', CONTEXT];
  const servers = {
    [OURS]: await startWorker(flags.map(String)),
    [TRANSFORMERS]: await startPeer('transformers-server.mjs', [modelFolder('fp32'), 'fp32']),
  };
  const sides = (measure) =>
    Object.fromEntries(Object.entries(servers).map(([name, { url }]) => [name, () => measure(url, name)]));
  let atOnce = SLOTS;
  const many = async (url, name) => {
    const outcomes = await streams(url, name === TRANSFORMERS ? STREAM.inTurn : SLOTS);
    if (name === OURS) atOnce = Math.min(atOnce, mostAtOnce(outcomes));
    return totalRate(outcomes);
  };
  const one = async (url) => {
    const outcome = await ask(url, job(freshPrompt(STREAM.prompt), STREAM.tokens));
    expectCold([outcome], STREAM.prompt, STREAM.tokens);
    return decodeRate(outcome);
  };
  await interleaved(1, sides(one));
  const figures = {
    one: await interleaved(rounds(5), sides(one)),
    many: await interleaved(rounds(3), sides(many)),
  };
  await Promise.all(Object.values(servers).map(({ stop }) => stop()));
  return { ...figures, atOnce };
}

async function streams(url, count) {
  const bodies = Array.from({ length: count }, () => job(freshPrompt(STREAM.prompt), STREAM.tokens));
  return expectCold(await askAll(url, bodies), STREAM.prompt, STREAM.tokens);
}
