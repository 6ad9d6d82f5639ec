/**
 * Everything `npm test` proves, in order: types, lint (which holds most of the architecture's law), then all tests.
 * The last line is `N passed, N failed`: every test counts, and so do the types and the lint.
 *
 *   node scripts/check.mjs [test files…]     with files, only those tests run
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const RESULTS = join(ROOT, 'build', 'test-results.json');
const only = process.argv.slice(2);

const bin = (...parts) => join(ROOT, 'node_modules', ...parts);
const node = (args) => spawnSync(process.execPath, args, { cwd: ROOT, stdio: 'inherit' }).status === 0;

let passed = 0;
let failed = 0;
const count = (ok) => {
  if (ok) passed += 1;
  else failed += 1;
};

if (only.length === 0) {
  heading('types');
  count(node([bin('typescript', 'bin', 'tsc'), '-p', 'test']));
  heading('lint and architecture');
  count(node([bin('@biomejs', 'biome', 'bin', 'biome'), 'check', '--error-on-warnings', '.']));
}

heading('tests');
mkdirSync(join(ROOT, 'build'), { recursive: true });
rmSync(RESULTS, { force: true });
const ok = node([
  bin('vitest', 'vitest.mjs'),
  'run',
  '--reporter=default',
  '--reporter=json',
  `--outputFile.json=${RESULTS}`,
  ...only,
]);
const results = resultsOf(RESULTS);
passed += results.numPassedTests;
failed += results.numFailedTests;
// A file that cannot even be loaded has no failing test to count.
if (!ok && results.numFailedTests === 0) failed += 1;

for (const name of results.failures) process.stdout.write(`failed: ${name}\n`);
process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
process.exit(failed === 0 ? 0 : 1);

function heading(text) {
  process.stdout.write(`\n── ${text}\n`);
}

/** Counts, and the names of what failed: a reader of the last lines of a log learns which. */
function resultsOf(file) {
  let results;
  try {
    results = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return { numPassedTests: 0, numFailedTests: 0, failures: [] };
  }
  const { numPassedTests, numFailedTests, testResults } = results;
  const failures = testResults.flatMap(({ name, assertionResults }) =>
    assertionResults
      .filter(({ status }) => status === 'failed')
      .map(({ fullName }) => `${relative(ROOT, name)} > ${fullName}`),
  );
  return { numPassedTests, numFailedTests, failures };
}
