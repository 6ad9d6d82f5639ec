/**
 * `npm run install:cuda`: onnxruntime-node's own installer is run as it is, in a copy of the package, and
 * asks a feed that is played here.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PACKAGE = join(ROOT, 'node_modules', 'onnxruntime-node');
const INSIDE = 'runtimes/linux-x64/native';
const PROVIDERS = ['cuda', 'shared', 'tensorrt'].map((name) => `libonnxruntime_providers_${name}.so`);
const NEEDED = ['libcublasLt.so.12', 'libcudnn.so.9', 'libc.so.6'];

/**
 * The parts of a shared library that name the libraries it needs: two segments over the whole file, a dynamic
 * section, the names.
 */
function providerFile(): Buffer {
  const [headers, entry] = [64 + 2 * 56, 16];
  const dynamicBytes = (NEEDED.length + 2) * entry;
  const [names, base] = [headers + dynamicBytes, 0x10000];
  const strings = Buffer.from(`\0${NEEDED.join('\0')}\0`);
  const file = Buffer.concat([Buffer.alloc(names), strings]);
  file.write('\x7fELF\x02\x01', 'latin1');
  const number = (at: number, value: number) => file.writeBigUInt64LE(BigInt(value), at);
  number(32, 64);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(2, 56);
  for (const [at, type, offset, bytes] of [
    [64, 1, 0, file.length],
    [64 + 56, 2, headers, dynamicBytes],
  ] as const) {
    file.writeUInt32LE(type, at);
    number(at + 8, offset);
    number(at + 16, base + offset);
    number(at + 32, bytes);
  }
  const entries = [...NEEDED.map((name) => [1, strings.indexOf(`${name}\0`)]), [5, base + names], [0, 0]];
  for (const [index, [tag = 0, value = 0]] of entries.entries()) {
    number(headers + index * entry, tag);
    number(headers + index * entry + 8, value);
  }
  return file;
}

const undo: (() => void)[] = [];
afterEach(() => {
  for (const one of undo.splice(0).reverse()) one();
});

/**
 * A project of somebody's with this package's script and a copy of onnxruntime-node whose feed is at `index`.
 */
function project(index?: string) {
  const folder = mkdtempSync(join(tmpdir(), 'install-cuda-'));
  undo.push(() => rmSync(folder, { recursive: true, force: true }));
  const runtime = join(folder, 'node_modules', 'onnxruntime-node');
  const libraries = join(runtime, 'bin', 'napi-v6', 'linux', 'x64');
  mkdirSync(join(folder, 'scripts'), { recursive: true });
  cpSync(join(ROOT, 'scripts', 'install-cuda.mjs'), join(folder, 'scripts', 'install-cuda.mjs'));
  mkdirSync(libraries, { recursive: true });
  writeFileSync(join(libraries, 'libonnxruntime.so.1'), 'the library');
  cpSync(join(PACKAGE, 'package.json'), join(runtime, 'package.json'));
  cpSync(join(PACKAGE, 'script'), join(runtime, 'script'), { recursive: true });
  const metadata = join(runtime, 'script', 'install-metadata.js');
  const text = readFileSync(metadata, 'utf8');
  if (index !== undefined) writeFileSync(metadata, text.replace(/index: 'https:[^']*'/g, `index: '${index}'`));
  for (const name of ['adm-zip', 'global-agent'])
    symlinkSync(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name));
  return { folder, runtime, libraries, files: () => readdirSync(libraries).sort() };
}

async function install({ folder }: { folder: string }, env: Readonly<Record<string, string>> = {}) {
  const child = spawn(process.execPath, [join(folder, 'scripts', 'install-cuda.mjs')], {
    cwd: folder,
    // The variables that npm sets for its scripts: with them the installer does nothing unless it is forced.
    env: { npm_config_local_prefix: folder, npm_package_json: join(folder, 'package.json'), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

/** The installer uses https: this changes it to http, and nothing else. */
const PLAIN = `
const [http, https] = [require('node:http'), require('node:https')];
https.get = (url, ...rest) => http.get(String(url).replace('https:', 'http:'), rest.at(-1));
`;

interface Zip {
  addFile(name: string, content: Buffer): void;
  toBuffer(): Buffer;
}

/** The part of NuGet that the installer uses, with a package of these files. */
async function feed(contents: readonly string[], versions?: readonly string[]) {
  const AdmZip = createRequire(import.meta.url)('adm-zip') as new () => Zip;
  const zip = new AdmZip();
  for (const name of contents) zip.addFile(`${INSIDE}/${name}`, providerFile());
  const { version } = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8')) as { version: string };
  const asked: string[] = [];
  const server: Server = createServer(({ url = '' }, response) => {
    asked.push(url);
    if (url.endsWith('.nupkg')) return void response.end(zip.toBuffer());
    const { port } = server.address() as AddressInfo;
    const resource = { '@id': `https://127.0.0.1:${port}/flat/`, '@type': 'PackageBaseAddress/3.0.0' };
    const answer = url === '/index.json' ? { resources: [resource] } : { versions: versions ?? [version] };
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify(answer));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  undo.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  return { asked, host: `127.0.0.1:${port}`, index: `https://127.0.0.1:${port}/index.json` };
}

function plainly({ folder }: { folder: string }): Record<string, string> {
  const file = join(folder, 'plain.cjs');
  writeFileSync(file, PLAIN);
  return { NODE_OPTIONS: `--require ${file}` };
}

describe.runIf(process.platform === 'linux' && process.arch === 'x64')('install:cuda', { timeout: 120_000 }, () => {
  test('downloads the files beside the library, and reports their paths and requirements', async () => {
    const { index, asked } = await feed(PROVIDERS);
    const place = project(index);
    const { code, stdout, stderr } = await install(place, plainly(place));
    expect([code, stderr]).toEqual([0, '']);
    expect(place.files()).toEqual(['libonnxruntime.so.1', ...PROVIDERS].sort());
    expect(stdout).toContain(join(place.libraries, 'libonnxruntime_providers_cuda.so'));
    expect(stdout).toContain(
      'The provider needs an NVIDIA driver, CUDA 12 and cuDNN 9: libcublasLt.so.12, libcudnn.so.9.\n',
    );
    expect(asked.at(-1)).toMatch(/\.nupkg$/);
    const again = await install(place);
    expect([again.code, again.stdout]).toEqual([0, expect.stringContaining('is already installed')]);
    expect(asked.filter((url) => url.endsWith('.nupkg'))).toHaveLength(1);
  });

  test('names the host that the network refuses, and reports that nothing was changed and an alternative', async () => {
    const place = project();
    // A missing proxy: this machine refuses the connection, with or without a network.
    const { code, stderr } = await install(place, {
      GLOBAL_AGENT_HTTPS_PROXY: 'http://127.0.0.1:1',
      GLOBAL_AGENT_HTTP_PROXY: 'http://127.0.0.1:1',
    });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^The CUDA provider was not installed: .*ECONNREFUSED/);
    const host = /index: 'https:\/\/([^/]+)/.exec(readFileSync(join(PACKAGE, 'script', 'install-metadata.js'), 'utf8'));
    expect(stderr).toContain(`The installer downloads from ${host?.[1]}.`);
    expect(stderr).toContain('No file was changed.');
    expect(stderr).toContain('--runtime-library');
    expect(place.files()).toEqual(['libonnxruntime.so.1']);
  });

  test('reports a feed without this version', async () => {
    const { index, host } = await feed(PROVIDERS, ['0.0.1']);
    const place = project(index);
    const { code, stderr } = await install(place, plainly(place));
    expect([code, stderr]).toEqual([1, expect.stringContaining('Failed to find specific package versions')]);
    expect(stderr).toContain(`The installer downloads from ${host}.`);
    expect(place.files()).toEqual(['libonnxruntime.so.1']);
  });

  test('names the files of an incomplete download', async () => {
    const { index } = await feed(['libonnxruntime_providers_cuda.so']);
    const place = project(index);
    const { code, stderr } = await install(place, plainly(place));
    expect(code).toBe(1);
    expect(stderr).toContain('Failed to find runtimes/linux-x64/native/libonnxruntime_providers_shared.so');
    expect(stderr).toContain('which are not enough: libonnxruntime_providers_cuda.so');
  });

  test('reports a platform without such files', async () => {
    const place = project();
    const metadata = join(place.runtime, 'script', 'install-metadata.js');
    writeFileSync(metadata, readFileSync(metadata, 'utf8').replaceAll('linux/x64:cuda12', 'plan9/x64:cuda12'));
    const { code, stderr } = await install(place);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/has no CUDA files for linux\/x64, only for plan9\/x64/)]);
  });

  test('reports a missing package', async () => {
    const place = project();
    rmSync(place.runtime, { recursive: true });
    const { code, stderr } = await install(place);
    expect([code, stderr]).toEqual([1, expect.stringContaining('onnxruntime-node is not installed')]);
  });
});

test('the script is part of the package and an npm script', () => {
  const { files, scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    files: string[];
    scripts: Record<string, string>;
  };
  expect(files).toContain('scripts/install-cuda.mjs');
  expect(scripts['install:cuda']).toBe('node scripts/install-cuda.mjs');
  expect(existsSync(join(ROOT, 'scripts', 'install-cuda.mjs'))).toBe(true);
});
