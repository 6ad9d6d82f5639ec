/**
 * Checks that a device computes correctly: runs every model of test/models and the embedded one on it, each
 * in an engine process of its own. Compares the ids with ids that were computed without a runtime, and with
 * ids of the CPU. Prints a table; exits with 1 if a row is wrong.
 *
 *   npm run check:device -- cuda [--runtime-library <libonnxruntime>]      also webgpu, cuda:1, coreml, cpu
 */
import { parseArgs } from 'node:util';
import { libraryPath } from '../src/model/runtime-library.ts';
import { devicesToTry } from '../src/protocol/devices.ts';
import { continueAll, embeddedModel, rightOf, speedOf, testModels } from './check-gpu/correctness.ts';

/** A renderer in software compiles shaders for minutes. */
const TIMEOUT_MS = 10 * 60_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { 'runtime-library': { type: 'string' } },
});
const [choice = 'cuda'] = positionals;
const [device = 'cuda-0'] = devicesToTry(choice);
const where = { runtimeLibrary: values['runtime-library'] ?? libraryPath(), device, timeoutMs: TIMEOUT_MS };

const rows: string[][] = [];
let wrong = 0;
for (const one of [...testModels(), await embeddedModel(where)]) {
  const outcome = await continueAll(where, one);
  const { facts, problem } = outcome;
  const right = rightOf(one, outcome);
  const ok = problem === undefined && right === one.expected.length;
  if (!ok) wrong += 1;
  rows.push([
    one.name,
    ok ? 'right' : 'WRONG',
    problem ?? `${right} of ${one.expected.length}`,
    facts?.cacheUpdate ?? '–',
    facts ? speedOf(outcome) : '–',
    facts ? `${Math.round(facts.deviceBytes / 1e6)}` : '–',
  ]);
  process.stderr.write(`${rows.at(-1)?.join('  ')}\n`);
}

const head = ['model', device, 'prompts right', 'cache', 'tokens/s', 'MB on the device'];
process.stdout.write(
  `\n${[head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n')}\n\n`,
);
process.stdout.write(`${rows.length - wrong} right, ${wrong} wrong on ${device}\n`);
process.exit(wrong === 0 ? 0 : 1);
