/**
 * Finds the files of a model in its folder, the runtime's native library, and the embedded model. Looks at names, sizes and first bytes;
 * what the files say is `spec.ts`'s. Everything that is wrong with a folder is told at once.
 */
import { readdirSync } from 'node:fs';
import { open, readFile, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EMBEDDED_MODEL } from '../places.ts';

/** How the weights are stored → what their file's name ends with, as transformers.js names them. */
export const SUFFIXES = {
  fp32: '',
  fp16: '_fp16',
  q8: '_quantized',
  int8: '_int8',
  uint8: '_uint8',
  q4: '_q4',
  q4f16: '_q4f16',
  bnb4: '_bnb4',
} as const;

export type Dtype = keyof typeof SUFFIXES;
/** What a caller may ask for. `quantized` is the older name of `q8`. */
export type DtypeChoice = Dtype | 'quantized' | 'auto';

/**
 * What `auto` takes of several: decoding is bound by memory, so 4-bit weights come first (76 against 31 tokens/s of fp32, measured on two
 * CPU cores), then 8-bit, then fp32. Half floats come last: a CPU has to widen them.
 */
export const AUTO_ORDER: readonly Dtype[] = ['q4', 'q8', 'int8', 'uint8', 'fp32', 'bnb4', 'q4f16', 'fp16'];

/** Paths of a model's files, absolute; they existed and were not empty. */
export interface ModelFiles {
  readonly folder: string;
  readonly modelFile: string;
  readonly dtype: Dtype;
  /** Bytes of the weights: the .onnx file and its external data. */
  readonly bytes: number;
  readonly configFile: string;
  readonly generationConfigFile?: string;
  readonly tokenizerFile: string;
  readonly tokenizerConfigFile: string;
  readonly chatTemplateFile?: string;
}

/** One thing wrong with one file of a model's folder; `file` is its path from the folder. */
export interface ModelProblem {
  readonly file: string;
  readonly problem: string;
}

/** A model that cannot be used, with everything that is wrong with it. Start-up ends with exit code 1. */
export class ModelError extends Error {
  readonly folder: string;
  readonly problems: readonly ModelProblem[];

  constructor(folder: string, problems: readonly ModelProblem[]) {
    const list = problems.map(({ file, problem }) => (file === '' ? problem : `${file} ${problem}`)).join('; ');
    super(`The model in ${folder} cannot be used: ${list}.`);
    this.name = 'ModelError';
    this.folder = folder;
    this.problems = problems;
  }
}

/**
 * Finds all files of a hub-style folder. The weights are `onnx/model<suffix>.onnx`, or else `model<suffix>.onnx` beside the configuration.
 * @throws ModelError with every missing or broken file.
 */
export async function locateModel(folder: string, dtype: DtypeChoice = 'auto'): Promise<ModelFiles> {
  const root = resolve(folder);
  const kind = await stat(root).catch(() => undefined);
  if (kind?.isDirectory() !== true) {
    throw new ModelError(root, [
      { file: '', problem: kind === undefined ? 'there is no such folder' : 'it is a file, not a folder' },
    ]);
  }
  const problems: ModelProblem[] = [];
  const weights = await findWeights(root, dtype, problems);
  const needed = {
    configFile: 'config.json',
    tokenizerFile: 'tokenizer.json',
    tokenizerConfigFile: 'tokenizer_config.json',
  };
  for (const file of Object.values(needed)) await check(root, file, problems);
  const generationConfigFile = await optional(root, 'generation_config.json', problems);
  const chatTemplateFile = await optional(root, 'chat_template.jinja', problems);
  if (weights === undefined || problems.length > 0) throw new ModelError(root, problems);
  return {
    folder: root,
    ...weights,
    configFile: join(root, needed.configFile),
    tokenizerFile: join(root, needed.tokenizerFile),
    tokenizerConfigFile: join(root, needed.tokenizerConfigFile),
    ...(generationConfigFile === undefined ? {} : { generationConfigFile }),
    ...(chatTemplateFile === undefined ? {} : { chatTemplateFile }),
  };
}

type Weights = Pick<ModelFiles, 'modelFile' | 'dtype' | 'bytes'>;

async function findWeights(root: string, choice: DtypeChoice, problems: ModelProblem[]): Promise<Weights | undefined> {
  const wanted: readonly Dtype[] = choice === 'auto' ? AUTO_ORDER : [choice === 'quantized' ? 'q8' : choice];
  const found: { file: string; dtype: Dtype }[] = [];
  for (const dtype of AUTO_ORDER) {
    for (const file of weightNames(dtype)) {
      if (await exists(join(root, file))) found.push({ file, dtype });
    }
  }
  const taken = found.find(({ dtype }) => wanted.includes(dtype));
  if (taken === undefined) {
    const names = weightNames(choice === 'auto' ? 'fp32' : (wanted[0] ?? 'fp32')).join(' or ');
    const others = found.map(({ file, dtype }) => `${file} (${dtype})`).join(', ');
    const problem = `is missing${choice === 'auto' ? '' : ` (dtype ${choice})`}`;
    problems.push({ file: names, problem: others === '' ? problem : `${problem}; the folder has ${others}` });
    return undefined;
  }
  const own = await check(root, taken.file, problems);
  let bytes = own;
  for (const file of own === 0 ? [] : await externalData(root, taken.file, own))
    bytes += await check(root, file, problems);
  return { modelFile: join(root, taken.file), dtype: taken.dtype, bytes };
}

/** Candidates for a dtype, by preference. */
function weightNames(dtype: Dtype): string[] {
  return [`onnx/model${SUFFIXES[dtype]}.onnx`, `model${SUFFIXES[dtype]}.onnx`];
}

/** A graph without its weights is smaller than this; a larger file is not searched for the names of its data. */
const LARGEST_GRAPH = 64 * 1024 * 1024;
/** `external_data { key: "location" value: …`, as protobuf writes it; one byte of length and the name follow (onnx.proto, TensorProto). */
const LOCATION = Buffer.from('\x0a\x08location\x12', 'latin1');

/** Files beside the .onnx file that hold its weights, as paths from the root: the names it says, or, of a large one, those named after it. */
async function externalData(root: string, modelFile: string, bytes: number): Promise<string[]> {
  const folder = dirname(modelFile);
  const names = new Set<string>();
  if (bytes > LARGEST_GRAPH) {
    const own = modelFile.slice(modelFile.lastIndexOf('/') + 1);
    for (const name of readdirSync(join(root, folder))) {
      if (name.startsWith(`${own}_data`) || name.startsWith(`${own}.data`)) names.add(name);
    }
  } else {
    const graph = await readFile(join(root, modelFile));
    for (let at = graph.indexOf(LOCATION); at >= 0; at = graph.indexOf(LOCATION, at + 1)) {
      const start = at + LOCATION.length + 1;
      names.add(graph.toString('utf8', start, start + (graph[start - 1] ?? 0)));
    }
  }
  return [...names].sort().map((name) => join(folder, name));
}

/** Size of a file that must be there; 0 when it is not, or is broken, which is added to the problems. */
async function check(root: string, file: string, problems: ModelProblem[]): Promise<number> {
  const found = await stat(join(root, file)).catch(() => undefined);
  const problem =
    found === undefined ? 'is missing' : found.isFile() ? await contentProblem(join(root, file)) : 'is not a file';
  if (problem !== undefined) problems.push({ file, problem });
  return problem === undefined ? (found?.size ?? 0) : 0;
}

async function contentProblem(path: string): Promise<string | undefined> {
  const lfs = 'version https://git-lfs';
  try {
    const handle = await open(path);
    try {
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(lfs.length), 0, lfs.length, 0);
      if (bytesRead === 0) return 'is empty';
      return buffer.toString('latin1') === lfs ? 'is a Git LFS pointer, the file itself was not fetched' : undefined;
    } finally {
      await handle.close();
    }
  } catch (error) {
    return `cannot be read (${error instanceof Error && 'code' in error ? error.code : 'unknown reason'})`;
  }
}

async function optional(root: string, file: string, problems: ModelProblem[]): Promise<string | undefined> {
  if (!(await exists(join(root, file)))) return undefined;
  await check(root, file, problems);
  return join(root, file);
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

/** Where the runtime's library may be looked for, when not for this machine. */
export interface LibraryPlace {
  /** Folder of the onnxruntime-node package. */
  readonly packageRoot?: string;
  readonly platform?: string;
  readonly arch?: string;
}

/** File name of the library by platform. */
const LIBRARY_NAMES: Readonly<Record<string, RegExp>> = {
  linux: /^libonnxruntime\.so(\.\d+)*$/,
  darwin: /^libonnxruntime(\.\d+)*\.dylib$/,
  win32: /^onnxruntime\.dll$/,
};

/**
 * Path of libonnxruntime inside the installed onnxruntime-node package, of whichever version.
 * @throws Error when the package is not installed, or has no library for this platform.
 */
export function libraryPath(place: LibraryPlace = {}): string {
  const { platform = process.platform, arch = process.arch } = place;
  const bin = join(place.packageRoot ?? runtimePackage(), 'bin');
  const bindings = namesIn(bin)
    .filter((name) => /^napi-v\d+$/.test(name))
    .sort((a, b) => Number(b.slice(6)) - Number(a.slice(6)));
  for (const binding of bindings) {
    const folder = join(bin, binding, platform, arch);
    // The shortest name is the one that other libraries are linked against: libonnxruntime.1.dylib, libonnxruntime.so.1.
    const [name] = namesIn(folder)
      .filter((file) => LIBRARY_NAMES[platform]?.test(file))
      .sort((a, b) => a.length - b.length);
    if (name !== undefined) return join(folder, name);
  }
  throw new Error(`onnxruntime-node has no library for ${platform} ${arch}: name one with --runtime-library.`);
}

function runtimePackage(): string {
  try {
    return dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  } catch (cause) {
    throw new Error(
      'The package onnxruntime-node is not installed: install it, or name a library with --runtime-library.',
      { cause },
    );
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Folder of the model that comes with the package, from src/ and from dist/. */
export function embeddedModel(): string {
  return fileURLToPath(EMBEDDED_MODEL);
}
