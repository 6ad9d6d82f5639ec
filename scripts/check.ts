/**
 * `npm test`: all tests, with types and lint beside them, then a search for processes that the tests left
 * behind. The last line is `N passed, N failed`: it counts every test and each of the other checks.
 *
 *   node scripts/run.mjs scripts/check.ts [test files…]           with files, only those tests run
 *   node scripts/run.mjs scripts/check.ts --suite <name>          the tests of npm run test:<name>
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { parseArgs, stripVTControlCharacters } from 'node:util';
import { chromiumPath } from '../test/support/chromium-path.ts';
import { softwareVulkan } from '../test/support/vulkan.ts';
import { leftBehind, processesOf } from './processes.ts';

interface Results {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly testResults: readonly {
    readonly name: string;
    /** The error of a file that could not be loaded, or of a hook. */
    readonly message: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const RESULTS = join(ROOT, 'build', 'test-results.json');
/** Longest reason of a failed test in the last lines of the log, in characters. */
const REASON = 600;
const NOTHING: Results = { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, testResults: [] };

const { values, positionals } = parseArgs({ allowPositionals: true, options: { suite: { type: 'string' } } });
const projects = values.suite === undefined ? ['unit', 'stateful', 'e2e'] : [values.suite];

let passed = 0;
const failures: string[] = [];
const skipped: string[] = [];

// Types and lint run beside the tests: many tests wait for processes.
const isWhole = values.suite === undefined && positionals.length === 0;
const types = isWhole ? background([bin('typescript', 'bin', 'tsc'), '-p', 'test']) : undefined;
/** The page has the types of a browser. */
const pageTypes = isWhole ? background([bin('typescript', 'bin', 'tsc'), '-p', 'src/page']) : undefined;
const lint = isWhole
  ? background([bin('@biomejs', 'biome', 'bin', 'biome'), 'check', '--error-on-warnings', '.'])
  : undefined;

heading(values.suite === undefined ? 'tests' : `tests: ${values.suite}`);
/** Suites that a machine may be unable to run, with the reason. */
const UNABLE: Readonly<Record<string, string | false>> = {
  webgpu: !softwareVulkan && 'the tests of WebGPU need a GPU, or the Debian package chromium for Vulkan in software',
  pages: chromiumPath === undefined && 'the tests in a browser need the Debian package chromium',
};
const unable = UNABLE[values.suite ?? ''];
if (unable) skipped.push(unable);
else await runTests();
if (lint) await report('lint and architecture', lint);
if (types) await report('types', types);
if (pageTypes) await report('types of the page', pageTypes);

for (const reason of skipped) process.stdout.write(`skipped: ${reason}\n`);
for (const name of failures) process.stdout.write(`failed: ${name}\n`);
process.stdout.write(`\n${passed} passed, ${failures.length} failed\n`);
process.exit(failures.length === 0 ? 0 : 1);

async function runTests(): Promise<void> {
  mkdirSync(join(ROOT, 'build'), { recursive: true });
  rmSync(RESULTS, { force: true });
  const before = processesOf(ROOT);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${RESULTS}`];
  const chosen = projects.map((name) => `--project=${name}`);
  const ok = await node([bin('vitest', 'vitest.mjs'), 'run', ...reporters, ...chosen, ...positionals]);
  const results = read(RESULTS);
  passed += results.numPassedTests;
  failures.push(...namesOfFailed(results));
  if (results.numPendingTests > 0) skipped.push(`${results.numPendingTests} tests cannot run on this machine`);
  // Vitest itself can fail, for example with an error outside of any test.
  if (!ok && failures.length === 0) failures.push('vitest failed outside of any test');
  const left = await leftBehind(ROOT, before);
  for (const one of left) process.stdout.write(`left behind: ${one}\n`);
  count('no process is left behind', left.length === 0);
}

function count(name: string, ok: boolean): void {
  if (ok) passed += 1;
  else failures.push(name);
}

function heading(text: string): void {
  process.stdout.write(`\n── ${text}\n`);
}

function bin(...parts: string[]): string {
  return join(ROOT, 'node_modules', ...parts);
}

/** Runs Node with these arguments. True if it exits with 0. */
async function node(args: readonly string[]): Promise<boolean> {
  const [code] = await once(spawn(process.execPath, args, { cwd: ROOT, stdio: 'inherit' }), 'exit');
  return code === 0;
}

interface Finished {
  readonly ok: boolean;
  readonly output: Buffer;
}

/** As `node`, but keeps the output. */
async function background(args: readonly string[]): Promise<Finished> {
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  const [output, errors, [code]] = await Promise.all([buffer(child.stdout), buffer(child.stderr), once(child, 'exit')]);
  return { ok: code === 0, output: Buffer.concat([output, errors]) };
}

async function report(name: string, check: Promise<Finished>): Promise<void> {
  const { ok, output } = await check;
  heading(name);
  process.stdout.write(output);
  count(name, ok);
}

function read(file: string): Results {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Results;
  } catch {
    return NOTHING;
  }
}

/** The last lines of a log name the tests that failed, each with its reason: a cut log still has them. */
function namesOfFailed({ testResults }: Results): string[] {
  return testResults.flatMap(({ name, message, assertionResults }) => {
    const file = relative(ROOT, name);
    const failed = assertionResults
      .filter(({ status }) => status === 'failed')
      .map(({ fullName, failureMessages }) => `${file} > ${fullName}: ${reasonOf(failureMessages.join('\n'))}`);
    if (message !== '' && failed.length === 0) return [`${file}: ${reasonOf(message)}`];
    return failed;
  });
}

/** The text of an error in one line, with the places in tests. */
function reasonOf(message: string): string {
  const lines = stripVTControlCharacters(message).split('\n');
  const kept = lines.filter((line) => !/^\s+at /.test(line) || line.includes('/test/'));
  return kept.join(' ').replaceAll(ROOT, '').replace(/\s+/g, ' ').trim().slice(0, REASON);
}
