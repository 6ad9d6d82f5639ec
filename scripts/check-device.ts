/**
 * Checks that a device computes correctly: runs every model of test/models and the embedded one on it, each
 * in an engine process of its own. Compares the ids with ids that were computed without a runtime, and with
 * ids of the CPU. Prints a table; exits with 1 if a row is wrong.
 *
 *   npm run check:device -- cuda [--runtime-library <libonnxruntime>]      also webgpu, cuda:1, coreml, cpu
 */
import { fork } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { describeRefusal } from '../src/lifecycle/reasons.ts';
import { libraryPath } from '../src/model/runtime-library.ts';
import { tensorNamesOf } from '../src/model/spec/genai.ts';
import { devicesToTry } from '../src/protocol/devices.ts';
import type { EngineFacts, EngineOptions } from '../src/protocol/loading.ts';
import type { FromEngine, ToEngine } from '../src/protocol/messages.ts';
import { GREEDY } from '../src/protocol/sampling.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const MODELS = join(ROOT, 'test', 'models');
const HAIKU = join(ROOT, 'models', 'haiku', 'onnx', 'model.onnx');
const ENGINE = join(ROOT, 'dist', 'engine', 'process.cjs');
/** A renderer in software compiles shaders for minutes. */
const TIMEOUT_MS = 10 * 60_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { 'runtime-library': { type: 'string' } },
});
const [choice = 'cuda'] = positionals;
const [device = 'cuda-0'] = devicesToTry(choice);

interface Task {
  readonly prompt: readonly number[];
  readonly maxTokens: number;
}

interface Outcome {
  readonly facts: EngineFacts | undefined;
  readonly outputs: readonly (readonly number[])[];
  readonly ms: number;
  readonly problem?: string;
}

interface Expected {
  readonly models: Readonly<
    Record<string, { readonly continuations?: readonly { readonly prompt: number[]; readonly ids: number[] }[] }>
  >;
}

const runtimeLibrary = values['runtime-library'] ?? libraryPath();

/** Names of inputs and outputs that the configuration beside a model gives. */
function namesOf(file: string): EngineOptions['names'] {
  const configuration = join(dirname(file), 'genai_config.json');
  return existsSync(configuration) ? tensorNamesOf(JSON.parse(readFileSync(configuration, 'utf8'))) : {};
}

const weightFiles = (file: string): string[] => {
  const beside = readdirSync(dirname(file)).filter((name) => /^(\.|_)data/.test(name.slice(basename(file).length)));
  const data = beside.filter((name) => name.startsWith(basename(file))).map((name) => join(dirname(file), name));
  return [file, ...data].map((path) => realpathSync(path));
};

/** Opens a model in an engine process and continues all prompts at once, greedily. */
function continueAll(on: typeof device, modelFile: string, context: number, tasks: readonly Task[]): Promise<Outcome> {
  const child = fork(ENGINE, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], serialization: 'advanced' });
  const outputs = tasks.map((): number[] => []);
  const alarm = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS);
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-2000);
  });
  let facts: EngineFacts | undefined;
  let began = performance.now();
  let left = tasks.length;
  return new Promise((resolve) => {
    const send = (message: ToEngine): boolean => child.send(message);
    const done = (more: { readonly problem?: string }): void => {
      clearTimeout(alarm);
      if (child.connected) send({ kind: 'close' });
      resolve({ facts, outputs, ms: performance.now() - began, ...more });
    };
    child.on('exit', (code, signal) =>
      done({ problem: `the engine ended: ${signal ?? code} ${stderr.trim().split('\n').at(-1)}` }),
    );
    child.on('message', (message: FromEngine) => {
      if (message.kind === 'refused') done({ problem: describeRefusal(message) });
      if (message.kind === 'opened') {
        facts = message.facts;
        began = performance.now();
        for (const [id, { prompt, maxTokens }] of tasks.entries()) {
          const request = { id, prompt, maxTokens, minTokens: maxTokens, endIds: [], sampling: GREEDY };
          send({ kind: 'submit', request });
        }
      }
      for (const { id, tokens, finish } of message.kind === 'report' ? message.sequences : []) {
        outputs[id]?.push(...tokens.map((token) => token.id));
        if (finish && 'message' in finish) done({ problem: finish.message });
        else if (finish && --left === 0) done({});
      }
    });
    const candidates = [{ device: on, modelFile, weightFiles: weightFiles(modelFile) }];
    const options: EngineOptions = {
      runtimeLibrary,
      candidates,
      names: namesOf(modelFile),
      slots: tasks.length,
      context,
      prefillChunk: 'auto',
      threads: 'auto',
      speculation: 'off',
    };
    send({ kind: 'open', options });
  });
}

const rows: string[][] = [];
let wrong = 0;
function add(name: string, expected: readonly (readonly number[])[], { facts, outputs, ms, problem }: Outcome): void {
  const right = expected.filter((ids, index) => JSON.stringify(ids) === JSON.stringify(outputs[index])).length;
  const result = problem ?? `${right} of ${expected.length}`;
  const ok = problem === undefined && right === expected.length;
  if (!ok) wrong += 1;
  const count = outputs.reduce((sum, ids) => sum + ids.length, 0);
  const speed = facts && !problem ? `${Math.round((1000 * count) / ms)}` : '–';
  rows.push([
    name,
    ok ? 'right' : 'WRONG',
    result,
    facts?.cacheUpdate ?? '–',
    speed,
    facts ? `${Math.round(facts.deviceBytes / 1e6)}` : '–',
  ]);
  process.stderr.write(`${rows.at(-1)?.join('  ')}\n`);
}

const { models } = JSON.parse(readFileSync(join(MODELS, 'expected.json'), 'utf8')) as Expected;
for (const [name, { continuations }] of Object.entries(models)) {
  if (!continuations) continue;
  const longest = Math.max(...continuations.map(({ prompt, ids }) => prompt.length + ids.length));
  const tasks = continuations.map(({ prompt, ids }) => ({ prompt, maxTokens: ids.length }));
  const result = await continueAll(device, join(MODELS, name), longest <= 64 ? 64 : 192, tasks);
  add(
    name,
    continuations.map(({ ids }) => ids),
    result,
  );
}
const prompts = [5, 40, 95, 200].map((length, salt) =>
  Array.from({ length }, (_, index) => (index === 0 ? 0 : 5 + ((index * 37 + salt * 101 + index * index) % 1000))),
);
const tasks = prompts.map((prompt) => ({ prompt, maxTokens: 64 }));
const cpu = await continueAll('cpu', HAIKU, 512, tasks);
add('models/haiku, 64 ids, against the CPU', cpu.outputs, await continueAll(device, HAIKU, 512, tasks));

const head = ['model', device, 'prompts right', 'cache', 'tokens/s', 'MB on the device'];
process.stdout.write(
  `\n${[head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n')}\n\n`,
);
process.stdout.write(`${rows.length - wrong} right, ${wrong} wrong on ${device}\n`);
process.exit(wrong === 0 ? 0 : 1);
