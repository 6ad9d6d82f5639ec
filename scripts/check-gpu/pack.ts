/**
 * Packs everything that a bare machine needs besides the tracked files of this repository: this script as one
 * file, the engine, koffi, the library of ONNX Runtime, Node.js. The archive is split into folders that are
 * small enough to be carried one by one.
 */
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, isAbsolute, join, relative } from 'node:path';
import { libraryPath } from '../../src/model/runtime-library.ts';
import { keepArchitecture } from './fat-binary.ts';
import { ROOT } from './root.ts';

const TARGET = join(ROOT, 'build', 'check-gpu-pack');
/** Bytes of a part: with the tracked files, 18 MB, less than 64 MiB. */
export const PART_BYTES = 44e6;
/** The loader of Vulkan, which a machine with a driver may lack; Chromium has one. */
const VULKAN_LOADERS = ['/usr/lib/x86_64-linux-gnu/libvulkan.so.1', '/usr/lib/chromium/libvulkan.so.1'];

/** The script that unpacks the parts on the machine, and starts the check there. */
const RUN_SH = `#!/bin/sh
# Unpacks the parts of the archive into the repository, and starts the check: sh build/check-gpu-pack/1/run.sh [options]
cd "$(dirname "$0")/../../.." || exit 2
cat $(ls build/check-gpu-pack/*/part-* | sort -t- -k4) > build/check-gpu.tar.xz || exit 2
tar -xJf build/check-gpu.tar.xz 2>/dev/null ||
  python3 -c 'import tarfile; tarfile.open("build/check-gpu.tar.xz").extractall(".")' || exit 2
rm build/check-gpu.tar.xz
# CUDA's libraries of Python packages, and the loader of Vulkan.
for site in $(python3 -c 'import site, sys; print(*site.getsitepackages(), *sys.path)' 2>/dev/null); do
  for folder in "$site"/nvidia/*/lib; do
    [ -d "$folder" ] && LD_LIBRARY_PATH="$LD_LIBRARY_PATH:$folder"
  done
done
export LD_LIBRARY_PATH="\${LD_LIBRARY_PATH#:}:/usr/local/cuda/lib64:$PWD/build/check-gpu/lib"
icd=/usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json
[ -z "$VK_DRIVER_FILES$VK_ICD_FILENAMES" ] && [ -f "$icd" ] && export VK_DRIVER_FILES="$icd" VK_ICD_FILENAMES="$icd"
node=build/check-gpu/node
[ -x "$node" ] || node=node
library=
[ -f build/check-gpu/runtime/libonnxruntime.so ] && library="--runtime-library build/check-gpu/runtime/libonnxruntime.so"
exec "$node" build/check-gpu/main.mjs $library "$@"
`;

export interface PackOptions {
  /** Folder with libonnxruntime and the provider of CUDA, of one version; absent = the library of the package. */
  readonly providers?: string | undefined;
  /** Keeps the code of the provider for one compute capability only: 90 for 9.0; absent = all. */
  readonly architecture?: number | undefined;
}

/** The pieces of an archive, in order. Pure. */
export function partsOf(bytes: Uint8Array, most: number): Uint8Array[] {
  const count = Math.max(1, Math.ceil(bytes.length / most));
  return Array.from({ length: count }, (_, index) => bytes.subarray(index * most, (index + 1) * most));
}

/** Makes the folders of the pack, and returns the lines that say how to use them. */
export async function pack({ providers, architecture }: PackOptions): Promise<string[]> {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Error(`--pack needs Linux x64, not ${process.platform} ${process.arch}: run it on such a machine`);
  const stage = mkdtempSync(join(tmpdir(), 'check-gpu-'));
  try {
    await bundleInto(join(stage, 'build', 'check-gpu'));
    copyEngine(stage);
    copyRuntime(stage, { providers, architecture });
    cpSync(realpathSync(process.execPath), join(stage, 'build', 'check-gpu', 'node'));
    const loader = VULKAN_LOADERS.find((path) => existsSync(path));
    if (loader !== undefined) cpSync(realpathSync(loader), join(stage, 'build', 'check-gpu', 'lib', 'libvulkan.so.1'));
    const archive = execFileSync('tar', ['-cf', '-', '-C', stage, '.'], { maxBuffer: 2 ** 31 - 1 });
    const parts = partsOf(
      execFileSync('xz', ['-6', '-T0', '-c'], { input: archive, maxBuffer: 2 ** 31 - 1 }),
      PART_BYTES,
    );
    rmSync(TARGET, { recursive: true, force: true });
    for (const [index, part] of parts.entries()) {
      const folder = join(TARGET, String(index + 1));
      mkdirSync(folder, { recursive: true });
      // The shell sorts the names of the parts, not of the folders.
      writeFileSync(join(folder, `part-${String(index + 1).padStart(2, '0')}`), part);
      if (index === 0) writeFileSync(join(folder, 'run.sh'), RUN_SH);
    }
    return linesOf(parts.map(({ length }) => length));
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
}

function linesOf(sizes: readonly number[]): string[] {
  const folder = (index: number): string => `${relative(ROOT, TARGET)}/${index + 1}`;
  return [
    ...sizes.map((bytes, index) => `${folder(index)}  ${(bytes / 1e6).toFixed(1)} MB`),
    '',
    sizes.length === 1
      ? 'Carry this folder with the tracked files, and run there:'
      : 'Carry one folder after another while the machine is held, and run there with the last one:',
    `  sh ${folder(0)}/run.sh --minutes 8 --out "$OUT/devices.md"`,
  ];
}

/** This script and its packages as one file. koffi finds its native part by its own path. */
async function bundleInto(folder: string): Promise<void> {
  const { rolldown } = await import('rolldown');
  const bundle = await rolldown({
    input: { main: join(ROOT, 'scripts', 'check-gpu', 'main.ts') },
    external: (id) =>
      ['koffi', 'onnxruntime-node', 'rolldown'].includes(id) || (isAbsolute(id) && id.endsWith('.node')),
    platform: 'node',
  });
  await bundle.write({ dir: folder, format: 'esm', entryFileNames: '[name].mjs', chunkFileNames: '[name]-[hash].mjs' });
  await bundle.close();
}

/** The engine of dist/ with koffi for this platform. */
function copyEngine(stage: string): void {
  for (const name of readdirSync(join(ROOT, 'dist', 'bundle'))) {
    if (name.endsWith('.cjs')) cpSync(join(ROOT, 'dist', 'bundle', name), join(stage, 'dist', 'bundle', name));
  }
  for (const file of ['dist/engine/process.cjs', 'package.json']) {
    mkdirSync(dirname(join(stage, file)), { recursive: true });
    if (file !== 'package.json') cpSync(join(ROOT, file), join(stage, file));
  }
  const unneeded = ['doc', 'vendor', 'musl_x64', 'lib', 'CHANGELOG.md', 'index.d.ts', 'cnoke.cjs'];
  for (const name of ['koffi', '@koromix/koffi-linux-x64'])
    cpSync(join(ROOT, 'node_modules', name), join(stage, 'node_modules', name), {
      recursive: true,
      dereference: true,
      filter: (path) => !unneeded.includes(basename(path)),
    });
}

/** The library of the package, which has WebGPU, and those of another build with the provider of CUDA. */
function copyRuntime(stage: string, { providers, architecture }: PackOptions): void {
  const manifest = 'node_modules/onnxruntime-node/package.json';
  for (const file of [relative(ROOT, libraryPath()), manifest]) cpSync(join(ROOT, file), join(stage, file));
  if (providers === undefined) return;
  const folder = join(stage, 'build', 'check-gpu', 'runtime');
  mkdirSync(folder, { recursive: true });
  const names = readdirSync(providers);
  for (const name of ['libonnxruntime.so', 'libonnxruntime_providers_cuda.so', 'libonnxruntime_providers_shared.so']) {
    const found =
      names.find((one) => one === name) ??
      names.find((one) => /^\.[\d.]+$/.test(one.startsWith(name) ? one.slice(name.length) : ''));
    if (found === undefined)
      throw new Error(`--providers ${providers} has no ${name}: name a folder with the CUDA build of ONNX Runtime`);
    const bytes = readFileSync(join(providers, found));
    if (architecture !== undefined && name.includes('cuda') && keepArchitecture(bytes, architecture).kept === 0)
      throw new Error(
        `--architecture ${architecture}: ${found} has no code for compute capability ${architecture / 10}; leave the option out to keep all code`,
      );
    writeFileSync(join(folder, name), bytes);
  }
}
