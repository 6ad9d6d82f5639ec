/**
 * Whether a device computes what it must: every model of test/models and the embedded one on the device named, each in an engine process of
 * its own, held against ids that were computed without any runtime, and against the CPU. Prints a table; exit code 1 when a row is wrong.
 *
 *   node scripts/check-device.mjs cuda [--runtime-library <libonnxruntime>]      also webgpu, cuda:1, coreml, cpu
 */
import { fork } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { describeRefusal } from '../dist/lifecycle/reasons.js';
import { portNamesOf } from '../dist/model/genai.js';
import { libraryPath } from '../dist/model/runtime-library.js';
import { devicesToTry } from '../dist/protocol/devices.js';
import { GREEDY } from '../dist/protocol/sampling.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const MODELS = join(ROOT, 'test', 'models');
const HAIKU = join(ROOT, 'models', 'haiku', 'onnx', 'model.onnx');
const ENGINE = join(ROOT, 'dist', 'bridge', 'process.js');
/** Shaders are compiled at first use, in software for minutes. */
const PATIENCE_MS = 10 * 60_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { 'runtime-library': { type: 'string' } },
});
const [choice = 'cuda'] = positionals;
const [device] = devicesToTry(choice);
const runtimeLibrary = values['runtime-library'] ?? libraryPath();

/** Names of inputs and outputs that only a configuration beside the model tells. */
function namesOf(file) {
  const configuration = join(dirname(file), 'genai_config.json');
  return existsSync(configuration) ? portNamesOf(JSON.parse(readFileSync(configuration, 'utf8'))) : {};
}

const weightFiles = (file) => {
  const beside = readdirSync(dirname(file)).filter((name) => /^(\.|_)data/.test(name.slice(basename(file).length)));
  return [file, ...beside.filter((name) => name.startsWith(basename(file))).map((name) => join(dirname(file), name))];
};

/** Opens a model in an engine process and continues all prompts at once, greedily. */
function continueAll(on, modelFile, context, asked) {
  const child = fork(ENGINE, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], serialization: 'advanced' });
  const outputs = asked.map(() => []);
  const patience = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
  let words = '';
  child.stderr.on('data', (text) => (words = (words + text).slice(-2000)));
  let facts;
  let began;
  let left = asked.length;
  return new Promise((resolve) => {
    const done = (more) => {
      clearTimeout(patience);
      if (child.connected) child.send({ kind: 'close' });
      resolve({ facts, outputs, ms: performance.now() - began, ...more });
    };
    child.on('exit', (code, signal) =>
      done({ problem: `the engine ended: ${signal ?? code} ${words.trim().split('\n').at(-1)}` }),
    );
    child.on('message', (message) => {
      if (message.kind === 'refused') done({ problem: describeRefusal(message) });
      if (message.kind === 'opened') {
        facts = message.facts;
        began = performance.now();
        for (const [id, { prompt, maxTokens }] of asked.entries()) {
          const request = { id, prompt, maxTokens, minTokens: maxTokens, endIds: [], sampling: GREEDY };
          child.send({ kind: 'submit', request });
        }
      }
      for (const { id, tokens, finish } of message.kind === 'report' ? message.sequences : []) {
        outputs[id].push(...tokens.map((token) => token.id));
        if (finish && 'message' in finish) done({ problem: finish.message });
        else if (finish && --left === 0) done({});
      }
    });
    const candidates = [{ device: on, modelFile, weightFiles: weightFiles(modelFile) }];
    const options = {
      runtimeLibrary,
      candidates,
      names: namesOf(modelFile),
      slots: asked.length,
      context,
      prefillChunk: 'auto',
      speculation: 'off',
    };
    child.send({ kind: 'open', options });
  });
}

const rows = [];
let wrong = 0;
function tell(name, expected, { facts, outputs, ms, problem }) {
  const right = expected.filter((ids, index) => JSON.stringify(ids) === JSON.stringify(outputs[index])).length;
  const told = problem ?? `${right} of ${expected.length}`;
  const ok = problem === undefined && right === expected.length;
  if (!ok) wrong += 1;
  const count = outputs.reduce((sum, ids) => sum + ids.length, 0);
  const speed = facts && !problem ? `${Math.round((1000 * count) / ms)}` : '–';
  rows.push([
    name,
    ok ? 'right' : 'WRONG',
    told,
    facts?.cacheUpdate ?? '–',
    facts?.together ? 'yes' : 'no',
    speed,
    facts ? `${Math.round(facts.deviceBytes / 1e6)}` : '–',
  ]);
  process.stderr.write(`${rows.at(-1).join('  ')}\n`);
}

const { models } = JSON.parse(readFileSync(join(MODELS, 'expected.json'), 'utf8'));
for (const [name, { continuations }] of Object.entries(models)) {
  if (!continuations) continue;
  const longest = Math.max(...continuations.map(({ prompt, ids }) => prompt.length + ids.length));
  const asked = continuations.map(({ prompt, ids }) => ({ prompt, maxTokens: ids.length }));
  const result = await continueAll(device, join(MODELS, name), longest <= 64 ? 64 : 192, asked);
  tell(
    name,
    continuations.map(({ ids }) => ids),
    result,
  );
}
const prompts = [5, 40, 95, 200].map((length, salt) =>
  Array.from({ length }, (_, index) => (index === 0 ? 0 : 5 + ((index * 37 + salt * 101 + index * index) % 1000))),
);
const asked = prompts.map((prompt) => ({ prompt, maxTokens: 64 }));
const cpu = await continueAll('cpu', HAIKU, 512, asked);
tell('models/haiku, 64 ids, against the CPU', cpu.outputs, await continueAll(device, HAIKU, 512, asked));

const head = ['model', device, 'prompts right', 'cache', 'rows together', 'tokens/s', 'MB on the device'];
process.stdout.write(
  `\n${[head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n')}\n\n`,
);
process.stdout.write(`${rows.length - wrong} right, ${wrong} wrong on ${device}\n`);
process.exit(wrong === 0 ? 0 : 1);
