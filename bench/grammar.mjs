/**
 * The cost of grammars: compilation and masks for schemas of tools and of documents, against web-xgrammar, and
 * the preparation of a vocabulary. In the process of the bench, on one thread.
 */
import { copyFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Budget } from '../dist/grammar/budget.js';
import { Grammar } from '../dist/grammar/matching/grammar.js';
import { buildVocabulary, Vocabulary } from '../dist/grammar/matching/vocabulary.js';
import { ProgramBuilder } from '../dist/grammar/program-builder.js';
import { addSchema } from '../dist/grammar/schema/schema.js';
import { goal, quantile, quantiles, rounds, section, spread, table } from './measure.mjs';
import { installPeers, PEERS } from './processes.mjs';
import { spelled, tokensOf } from './real-vocabulary.mjs';
import { documentSchemas, toolSchemas } from './schemas.mjs';

const ROUNDS = 5;
/** Schemas that the peer compiles as well: some take it seconds. */
const PEER_SCHEMAS = 40;
/** Outputs of each schema of a tool: a tool is called more than once. */
const OUTPUTS = 3;

export async function grammarCost() {
  const tokens = await tokensOf('cl100k_base');
  const vocabulary = new Vocabulary(prepared(tokens).data);
  const preparations = Array.from({ length: rounds(ROUNDS) }, () => undefined);
  const large = await tokensOf('o200k_base', 128_000);
  for (const index of preparations.keys()) preparations[index] = prepared(large);
  const tools = toolSchemas();
  const documents = documentSchemas();
  // The first compilations and masks of a process run code that is not optimized yet.
  measured(tools, vocabulary, 1);
  measured(documents, vocabulary, 1);
  const ofTools = Array.from({ length: rounds(ROUNDS) }, () => measured(tools, vocabulary, OUTPUTS));
  const ofDocuments = Array.from({ length: rounds(ROUNDS) }, () => measured(documents, vocabulary, 1));
  const few = documents.slice(0, PEER_SCHEMAS);
  const ours = measured(few, vocabulary, OUTPUTS);
  const theirs = await peerMeasured(few, tokens, vocabulary);
  const each = (runs, name, share) => runs.map((run) => quantile(run[name], share));
  const row = (name, runs) => [
    name,
    quantiles(runs.flatMap(({ compile }) => compile)),
    quantiles(
      runs.flatMap(({ masks }) => masks),
      [0.5, 0.9, 0.99],
      1,
    ),
    Math.max(...runs.flatMap(({ masks }) => masks)).toFixed(0),
  ];
  const times = preparations.map(({ ms }) => ms);
  const bytes = preparations.map(({ bytes }) => bytes / 1e6);
  const ratio = (name) => quantile(theirs[name], 0.5) / quantile(ours[name], 0.5);
  return section(
    'Grammars',
    [
      `JSON Schemas with the vocabulary cl100k (${tokens.length} tokens), one thread, warm code. 40 tools of 3 to 10 fields with ${OUTPUTS} outputs each, and ${documents.length} documents of 3 to 20 fields in up to four levels with one output each; every schema has a grammar of its own that has seen no text before. Times of all compilations and of the masks of all tokens. The peer is @mlc-ai/web-xgrammar on the first ${PEER_SCHEMAS} documents, with ${OUTPUTS} outputs each on both sides.`,
      table(
        ['schemas', 'compile, ms: median / 95 % / 99 %', 'mask, µs: median / 90 % / 99 %', 'longest mask, µs'],
        [
          row('tools', ofTools),
          row('documents', ofDocuments),
          row(`${PEER_SCHEMAS} documents, ${OUTPUTS} outputs each`, [ours]),
          row('– web-xgrammar', [theirs]),
          row('– first outputs only', [{ ...ours, masks: ours.first }]),
          row('– first outputs only, web-xgrammar', [{ ...theirs, masks: theirs.first }]),
        ],
      ),
      `The masks of the peer are prepared by its compilation, ours are computed when a text first needs them. From a schema to the end of its first output: ${quantile(ours.toEnd, 0.5).toFixed(1)} ms, web-xgrammar ${quantile(theirs.toEnd, 0.5).toFixed(0)} ms (medians).`,
      `Preparing a vocabulary of 128 k tokens (o200k): ${spread(times, 0)} ms in ${preparations[0]?.slices} turns, ${spread(bytes)} MB.`,
    ],
    [
      goal('schema of a tool: compile, median', { most: 2, unit: ' ms' }, each(ofTools, 'compile', 0.5)),
      goal('schema of a tool: mask, median', { most: 10, unit: ' µs', digits: 1 }, each(ofTools, 'masks', 0.5)),
      goal('schema of a tool: mask, 99 %', { most: 300, unit: ' µs', digits: 0 }, each(ofTools, 'masks', 0.99)),
      goal(
        '200 schemas of documents: compile, 99 %',
        { most: 50, unit: ' ms', digits: 1 },
        each(ofDocuments, 'compile', 0.99),
      ),
      goal(
        '200 schemas of documents: mask, 99 %',
        { most: 1000, unit: ' µs', digits: 0 },
        each(ofDocuments, 'masks', 0.99),
      ),
      goal('compile against web-xgrammar, medians', { least: 50, unit: '×', digits: 0 }, [ratio('compile')]),
      goal('mask against web-xgrammar, medians of all outputs', { least: 5, unit: '×', digits: 0 }, [ratio('masks')]),
      goal('preparing a vocabulary of 128 k tokens', { most: 500, unit: ' ms', digits: 0 }, times),
      goal('memory of a vocabulary of 128 k tokens', { most: 30, unit: ' MB', digits: 1 }, bytes),
    ],
  );
}

function prepared(tokens) {
  const began = performance.now();
  const work = buildVocabulary(tokens.length, (id) => tokens[id]);
  for (let slices = 1; ; slices += 1) {
    const { done, value } = work.next();
    if (done) return { data: value, ms: performance.now() - began, bytes: bytesOf(value), slices };
  }
}

const bytesOf = (value) => {
  if (ArrayBuffer.isView(value)) return value.byteLength;
  return typeof value === 'object' && value !== null
    ? Object.values(value).reduce((sum, one) => sum + bytesOf(one), 0)
    : 0;
};

/**
 * Milliseconds of each compilation, microseconds of each mask: of the first output of each grammar, and of all;
 * milliseconds from each schema to the end of its first output.
 */
function measured(schemas, vocabulary, outputs) {
  const [compile, first, masks, toEnd] = [[], [], [], []];
  for (const [schema, value] of schemas) {
    const ids = idsOf(textOf(value), vocabulary);
    const began = performance.now();
    const builder = new ProgramBuilder(new Budget(() => 0));
    const program = builder.program(addSchema(builder, schema, {}));
    const grammar = new Grammar(program, vocabulary);
    compile.push(performance.now() - began);
    for (let output = 0; output < outputs; output += 1) {
      const matcher = grammar.start();
      for (const id of ids) {
        const start = performance.now();
        matcher.mask();
        const time = (performance.now() - start) * 1000;
        masks.push(time);
        if (output === 0) first.push(time);
        if (!matcher.accept(id)) throw new Error(`Refused: ${textOf(value)} by ${JSON.stringify(schema)}`);
      }
      if (!matcher.accepts) throw new Error(`Incomplete: ${textOf(value)} by ${JSON.stringify(schema)}`);
      if (output === 0) toEnd.push(performance.now() - began);
    }
  }
  return { compile, first, masks, toEnd };
}

/** JSON with a space after commas and colons, as models write it. */
function textOf(value) {
  if (Array.isArray(value)) return `[${value.map(textOf).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([name, one]) => `${JSON.stringify(name)}: ${textOf(one)}`)
    .join(', ')}}`;
}

/** The longest tokens of a text. */
function idsOf(text, vocabulary) {
  const bytes = Buffer.from(text);
  const ids = [];
  for (let at = 0; at < bytes.length; ) {
    const id = vocabulary.longestIn(bytes.subarray(at));
    ids.push(id);
    at += vocabulary.bytesOf(id).length;
  }
  return ids;
}

/** Its package says that it is an ES module, and it is none: `import` gives an empty namespace on Node 20. */
function loadPeer() {
  installPeers(['@mlc-ai/web-xgrammar']);
  const require = createRequire(`${PEERS}package.json`);
  const file = require.resolve('@mlc-ai/web-xgrammar');
  const copy = file.replace(/\.js$/, '.cjs');
  copyFileSync(file, copy);
  return require(copy);
}

async function peerMeasured(schemas, tokens, vocabulary) {
  const peer = loadPeer();
  const names = tokens.map(spelled);
  const info = await peer.TokenizerInfo.createTokenizerInfo(names, 'byte_level', false);
  const compiler = await peer.GrammarCompiler.createGrammarCompiler(info, false);
  const [compile, first, masks, toEnd] = [[], [], [], []];
  for (const [schema, value] of schemas) {
    const ids = idsOf(textOf(value), vocabulary);
    const began = performance.now();
    // An indentation of -1: the value is one line.
    const compiled = await compiler.compileJSONSchema(JSON.stringify(schema), false, -1, [', ', ': '], false);
    compile.push(performance.now() - began);
    for (let output = 0; output < OUTPUTS; output += 1) {
      const matcher = await peer.GrammarMatcher.createGrammarMatcher(compiled, undefined, true);
      for (const id of ids) {
        const start = performance.now();
        await matcher.getNextTokenBitmask();
        const time = (performance.now() - start) * 1000;
        masks.push(time);
        if (output === 0) first.push(time);
        if (!matcher.acceptToken(id))
          throw new Error(`Refused by the peer: ${textOf(value)} by ${JSON.stringify(schema)}`);
      }
      if (output === 0) toEnd.push(performance.now() - began);
      matcher.dispose();
    }
    compiled.dispose();
  }
  return { compile, first, masks, toEnd };
}
