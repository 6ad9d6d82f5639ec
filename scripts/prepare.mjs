// @ts-check
/**
 * Makes a checkout ready to run: installs from the lock file and builds, each only if something has changed.
 * Every npm script runs it first, so that a fresh clone needs no other command. Plain JavaScript: it runs
 * before any package is installed.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** The scripts that make dist/, without this one. */
const BUNDLERS = ['bundle.mjs', 'bundle-plugin.mjs', 'bundle-page.mjs', 'compile.mjs'];
const LEAST_NODE = { major: 20, minor: 19 };

/** @type {(...parts: string[]) => string} */
const at = (...parts) => join(ROOT, ...parts);
/** @type {(text: string) => string} */
const digest = (text) => createHash('sha256').update(text).digest('hex');
/** @type {(file: string, otherwise: string) => string} */
const readOr = (file, otherwise) => (existsSync(file) ? readFileSync(file, 'utf8') : otherwise);

requireNode();
install();
build();

function requireNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > LEAST_NODE.major || (major === LEAST_NODE.major && minor >= LEAST_NODE.minor)) return;
  fail(`Node ${LEAST_NODE.major}.${LEAST_NODE.minor} or newer is required; this is Node ${process.versions.node}.`);
}

function install() {
  const stamp = at('node_modules', '.prepared');
  const wanted = digest(
    readFileSync(at('package-lock.json')) + readOr(at('.npmrc'), '') + process.platform + process.arch,
  );
  if (readOr(stamp, '') === wanted) return;
  say('Installing packages (once)…');
  // The install script of onnxruntime-node downloads the CUDA provider. .npmrc disables all scripts; this
  // variable disables the download a second time.
  const environment = { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' };
  run(npm(), ['ci', '--no-audit', '--no-fund', '--loglevel=error'], environment);
  writeFileSync(stamp, wanted);
}

function build() {
  const stamp = at('dist', '.built');
  const others = [
    'tsconfig.json',
    'tsconfig.client.json',
    'package-lock.json',
    ...BUNDLERS.map((name) => join('scripts', name)),
  ];
  const files = [...filesOf(at('src')), ...others.map((name) => at(name))];
  const wanted = digest(JSON.stringify(files.map(fingerprint)));
  if (readOr(stamp, '') === wanted) return;
  say('Building…');
  // Built beside dist/ and renamed: a failed build keeps the last good one, and no output of a deleted source
  // remains.
  const fresh = at(`dist-${process.pid}`);
  /** @type {[string, string]} */
  const tsc = [process.execPath, at('node_modules', 'typescript', 'bin', 'tsc')];
  run(tsc, ['-p', ROOT, '--outDir', fresh]);
  run(tsc, ['-p', at('tsconfig.client.json'), '--outDir', fresh]); // the types of the client, for users of the package
  run([process.execPath, at('scripts', 'bundle.mjs')], [fresh]);
  run([process.execPath, at('scripts', 'bundle-page.mjs')], [fresh]);
  run([process.execPath, at('scripts', 'compile.mjs')], [fresh]);
  writeFileSync(join(fresh, '.built'), wanted);
  rmSync(at('dist'), { recursive: true, force: true });
  renameSync(fresh, at('dist'));
}

/** @param {string} folder */
function filesOf(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** @param {string} file */
function fingerprint(file) {
  const { mtimeMs, size } = statSync(file);
  return [file, mtimeMs, size];
}

/**
 * The npm that runs this script (`npm_execpath`), otherwise the npm in the path.
 * @returns {[string, ...string[]]}
 */
function npm() {
  const script = process.env['npm_execpath'];
  if (script?.endsWith('.js')) return [process.execPath, script];
  return [process.platform === 'win32' ? 'npm.cmd' : 'npm'];
}

/**
 * @param {[string, ...string[]]} command
 * @param {string[]} rest
 */
function run([command, ...first], rest, env = process.env) {
  // The output of npm and tsc goes to stderr: stdout belongs to the command that follows.
  const { status, error } = spawnSync(command, [...first, ...rest], { cwd: ROOT, env, stdio: ['ignore', 2, 2] });
  if (error) fail(`${command} could not be started: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

/** @param {string} text */
function say(text) {
  process.stderr.write(`${text}\n`);
}

/**
 * @param {string} text
 * @returns {never}
 */
function fail(text) {
  say(text);
  process.exit(1);
}
