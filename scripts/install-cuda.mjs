/**
 * `npm run install:cuda`: runs the installer of onnxruntime-node, which downloads the CUDA provider, and
 * reports the result. Works in a checkout and in an installed package. Plain JavaScript, because the package
 * has no build tools, and because it runs before dist/ exists. Only the installer writes files, beside the
 * library of the runtime.
 */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/**
 * Time limit until the download begins. Some networks drop refused packets, and the installer would wait for
 * minutes.
 */
const INDEX_MS = 60_000;
const DOWNLOAD_MS = 60 * 60_000;
/** The files that the worker loads. The installer also brings the provider of TensorRT, which is not used. */
const NEEDED = ['libonnxruntime_providers_cuda.so', 'libonnxruntime_providers_shared.so'];
const PLATFORM = `${process.platform}/${process.arch}`;

const say = (text) => process.stdout.write(`${text}\n`);
const fail = (...lines) => {
  process.stderr.write(`${lines.join('\n')}\n`);
  process.exit(1);
};
const ALTERNATIVE =
  'Alternatively, use --runtime-library <libonnxruntime.so> with a build of ONNX Runtime 1.18 or newer that has its provider files beside it.';

const prepare = new URL('./prepare.mjs', import.meta.url);
if (existsSync(prepare)) await import(prepare);

const root = packageRoot();
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const metadata = createRequire(import.meta.url)(join(root, 'script', 'install-metadata.js'));
const manifest = metadata.manifests[`${PLATFORM}:cuda12`];
if (!manifest) {
  const platforms = Object.keys(metadata.manifests).map((name) => name.split(':')[0]);
  fail(`onnxruntime-node ${version} has no CUDA files for ${PLATFORM}, only for ${platforms.join(', ')}.`, ALTERNATIVE);
}

const folder = folderOf(root);
const before = sizes(folder);
if (NEEDED.every((name) => before.has(name))) {
  say(`The CUDA provider of onnxruntime-node ${version} is already installed.`);
  report();
  process.exit(0);
}
say(`Fetching the CUDA provider of onnxruntime-node ${version} with its own installer; it is some hundred megabytes…`);
const { code, output, late } = await install();
const after = sizes(folder);
if (code === 0 && NEEDED.every((name) => after.has(name))) {
  say('Done.');
  report();
  process.exit(0);
}
fail(
  `The CUDA provider was not installed: ${late ? `the installer did not finish within ${late / 1000} s` : reasonOf(output)}.`,
  `The installer downloads from ${hosts().join(', ')}. The network must allow that (GLOBAL_AGENT_HTTPS_PROXY sets a proxy).`,
  changed(),
  ALTERNATIVE,
);

function packageRoot() {
  try {
    return dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  } catch {
    return fail('The package onnxruntime-node is not installed: run npm ci (in a checkout) or npm install first.');
  }
}

/** The folder of the library, into which the installer writes. */
function folderOf(from) {
  const bin = join(from, 'bin');
  const bindings = readdirSync(bin).map((name) => join(bin, name, ...PLATFORM.split('/')));
  return (
    bindings.find((path) => existsSync(path)) ?? fail(`onnxruntime-node ${version} has no library for ${PLATFORM}.`)
  );
}

function sizes(path) {
  return new Map(readdirSync(path).map((name) => [name, statSync(join(path, name)).size]));
}

/**
 * Runs the installer and passes its output on. `late`: it was killed after this many milliseconds of silence.
 */
function install() {
  // Not `cuda12`: the installer reads any other word as its default, and its default does nothing if npm runs
  // it inside a project.
  const env = { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'true' };
  const child = spawn(process.execPath, [join(root, 'script', 'install.js')], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let late;
  const bound = (ms) =>
    setTimeout(() => {
      late = ms;
      child.kill('SIGKILL');
    }, ms);
  let alarm = bound(INDEX_MS);
  child.stdout.on('data', (text) => {
    output += text;
    process.stdout.write(text);
    if (!/Downloading/.test(text)) return;
    clearTimeout(alarm);
    alarm = bound(DOWNLOAD_MS);
  });
  child.stderr.on('data', (text) => {
    output += text;
  });
  return new Promise((resolve) => {
    child.on('close', (exit) => {
      clearTimeout(alarm);
      resolve({ code: exit, output, late });
    });
  });
}

/** The installer's error without its stack. */
function reasonOf(text) {
  const line = text.split('\n').findLast((one) => /error\b/i.test(one) && !/^\s+at /.test(one));
  return (
    (line ?? text.trim().split('\n').at(-1) ?? '').replace(/^.*?Error: /, '').replace(/\.$/, '') ||
    'the installer gave no reason'
  );
}

function hosts() {
  const feeds = Object.values(metadata.packages).flatMap(({ versions }) => versions.map(({ feed }) => feed));
  return [...new Set(feeds.map((feed) => new URL(metadata.feeds[feed].index).host))];
}

function changed() {
  const names = [...after].filter(([name, size]) => before.get(name) !== size).map(([name]) => name);
  return names.length === 0
    ? 'No file was changed.'
    : `The installer wrote some files, which are not enough: ${names.join(', ')} in ${folder}`;
}

function report() {
  for (const name of NEEDED) say(`  ${join(folder, name)}`);
  const libraries = neededBy(readFileSync(join(folder, NEEDED[0]))).filter((name) => /^lib(cu|nv)/.test(name));
  say(
    `The provider needs an NVIDIA driver, CUDA 12 and cuDNN 9${libraries.length === 0 ? '' : `: ${libraries.join(', ')}`}.`,
  );
  say('rbees-workerd doctor checks if they are installed, and tests the provider.');
}

/**
 * Names of the libraries that a 64-bit little-endian ELF file needs (System V ABI, dynamic section); none for
 * another file.
 */
function neededBy(elf) {
  if (elf.toString('latin1', 0, 6) !== '\x7fELF\x02\x01') return [];
  const number = (at) => Number(elf.readBigUInt64LE(at));
  const [LOAD, DYNAMIC, NEEDS, STRINGS] = [1, 2, 1, 5];
  try {
    const [table, size, count] = [number(32), elf.readUInt16LE(54), elf.readUInt16LE(56)];
    const segments = Array.from({ length: count }, (_, index) => table + index * size).map((at) => ({
      type: elf.readUInt32LE(at),
      offset: number(at + 8),
      address: number(at + 16),
      bytes: number(at + 32),
    }));
    const dynamic = segments.find(({ type }) => type === DYNAMIC);
    const places = Array.from({ length: dynamic.bytes / 16 }, (_, index) => dynamic.offset + index * 16);
    const entries = places.map((at) => [number(at), number(at + 8)]);
    const [, strings] = entries.find(([tag]) => tag === STRINGS);
    const home = segments.find(
      ({ type, address, bytes }) => type === LOAD && address <= strings && strings < address + bytes,
    );
    const from = strings - home.address + home.offset;
    const names = entries.filter(([tag]) => tag === NEEDS).map(([, name]) => from + name);
    return names.map((at) => elf.toString('latin1', at, elf.indexOf(0, at)));
  } catch {
    return []; // truncated, or without such a section: the dynamic loader reports that
  }
}
