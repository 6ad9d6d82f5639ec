/**
 * Makes a checkout ready to run: installs from the lock file and builds, each only when something changed since the last time.
 * Every npm script calls it first, so that a fresh clone needs no other command.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const LEAST_NODE = [20, 19];

const at = (...parts) => join(ROOT, ...parts);
const digest = (text) => createHash('sha256').update(text).digest('hex');
const readOr = (file, otherwise) => (existsSync(file) ? readFileSync(file, 'utf8') : otherwise);

requireNode();
install();
build();

function requireNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > LEAST_NODE[0] || (major === LEAST_NODE[0] && minor >= LEAST_NODE[1])) return;
  fail(`Node ${LEAST_NODE.join('.')} or newer is needed; this is ${process.versions.node}.`);
}

function install() {
  const stamp = at('node_modules', '.prepared');
  const wanted = digest(
    readFileSync(at('package-lock.json')) + readOr(at('.npmrc'), '') + process.platform + process.arch,
  );
  if (readOr(stamp, '') === wanted) return;
  say('Installing packages (once)…');
  // ONNXRUNTIME_NODE_INSTALL: its install script would download the CUDA provider; .npmrc skips all scripts, this says so twice.
  const environment = { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' };
  run(npm(), ['ci', '--no-audit', '--no-fund', '--loglevel=error'], environment);
  writeFileSync(stamp, wanted);
}

function build() {
  const stamp = at('dist', '.built');
  const wanted = digest(
    JSON.stringify(
      [...filesOf(at('src')), ...['tsconfig.json', 'package-lock.json'].map((name) => at(name))].map(fingerprint),
    ),
  );
  if (readOr(stamp, '') === wanted) return;
  say('Building…');
  // Built beside and moved, so that a failed build leaves the last good one, and nothing of a deleted file survives.
  const fresh = at(`dist-${process.pid}`);
  run([process.execPath, at('node_modules', 'typescript', 'bin', 'tsc')], ['-p', ROOT, '--outDir', fresh]);
  run([process.execPath, at('scripts', 'bundle.mjs')], [fresh]);
  writeFileSync(join(fresh, '.built'), wanted);
  rmSync(at('dist'), { recursive: true, force: true });
  renameSync(fresh, at('dist'));
}

function filesOf(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function fingerprint(file) {
  const { mtimeMs, size } = statSync(file);
  return [file, mtimeMs, size];
}

/** npm names itself when it runs a script; outside of one, the npm on the path is taken. */
function npm() {
  const script = process.env.npm_execpath;
  if (script?.endsWith('.js')) return [process.execPath, script];
  return [process.platform === 'win32' ? 'npm.cmd' : 'npm'];
}

function run([command, ...first], rest, env = process.env) {
  // What npm and tsc print goes to stderr: stdout belongs to the command that follows.
  const { status, error } = spawnSync(command, [...first, ...rest], { cwd: ROOT, env, stdio: ['ignore', 2, 2] });
  if (error) fail(`${command} could not be started: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

function say(text) {
  process.stderr.write(`${text}\n`);
}

function fail(text) {
  say(text);
  process.exit(1);
}
