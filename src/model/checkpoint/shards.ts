/**
 * Reads the headers of a checkpoint: `model.safetensors`, or the shards that `model.safetensors.index.json`
 * names. As in transformers, the single file takes precedence. Reads no weights.
 */
import { isUtf8 } from 'node:buffer';
import { join, normalize } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { UINT8 } from '../../onnx/types.ts';
import type { StoredMatrix, TensorPlace } from '../../protocol/decoder/decoder-spec.ts';
import type { CheckpointDtype } from '../dtypes.ts';
import { MAX_JSON_BYTES, openModelFile } from '../folder-files.ts';
import { checkFile, exists, leavesFolder, type ModelProblem, unreadable } from '../problems.ts';
import { JsonFault, JsonReader } from './json-reader.ts';
import {
  BrokenCheckpoint,
  HEADER_LIMITS,
  type HeaderBudget,
  headerBudget,
  quoted,
  readSafetensors,
  type SafetensorsFile,
} from './safetensors.ts';

export const SINGLE_FILE = 'model.safetensors';
export const INDEX_FILE = 'model.safetensors.index.json';

/** Blocks and scales of the experts of gpt-oss in MXFP4. The other weights give the dtype. */
const MXFP4_PART = /\.experts\.(?:gate_up|down)_proj_(?:blocks|scales)$/;

/** Element types of weights that a worker computes with, by their names in a header. */
const DTYPES = new Map([
  ['F32', 'fp32'],
  ['F16', 'fp16'],
  ['BF16', 'bf16'],
] as const);

/**
 * The files of a checkpoint, also of a GGUF model, and the places of its tensors by the names of
 * transformers.
 */
export interface CheckpointContent {
  /** The index, or the only file. */
  readonly modelFile: string;
  /** Absolute paths with links resolved, in the order to which `TensorPlace.file` refers. */
  readonly files: readonly string[];
  readonly tensors: ReadonlyMap<string, StoredMatrix>;
  /** Total size of the files. */
  readonly bytes: number;
  readonly dtype: string;
}

/** The checkpoint of a folder in the format safetensors. */
export interface Checkpoint extends CheckpointContent {
  readonly tensors: ReadonlyMap<string, TensorPlace>;
  /** The element type of most of the bytes. */
  readonly dtype: CheckpointDtype;
}

/** Maximum number of shards. The largest known checkpoints have 200. */
export const MAX_SHARDS = 1024;
/** Longest path of a shard in bytes. */
const MAX_PATH = 255;
/** In UTF-8. Allowed in front of each JSON file of a model. */
const BYTE_ORDER_MARK = Buffer.from('\ufeff');
/** Entries of the index between two turns of the event loop. */
const ENTRIES_PER_TURN = 4096;

/** The file of a folder that describes its checkpoint: the single file or the index. */
export async function checkpointFileIn(root: string): Promise<string | undefined> {
  for (const file of [SINGLE_FILE, INDEX_FILE]) if (await exists(join(root, file))) return file;
  return undefined;
}

/**
 * Reads the checkpoint of a folder. Adds at most one problem for each file.
 * @returns undefined if the folder has no checkpoint, or has one with problems
 */
export async function readCheckpoint(root: string, problems: ModelProblem[]): Promise<Checkpoint | undefined> {
  const file = await checkpointFileIn(root);
  if (file === undefined) return undefined;
  const faults: ModelProblem[] = [];
  const checkpoint =
    file === SINGLE_FILE ? await readFiles(root, [file], faults) : await readShards(root, file, faults);
  problems.push(...faults);
  return checkpoint === undefined || faults.length > 0 ? undefined : { modelFile: join(root, file), ...checkpoint };
}

type Files = Omit<Checkpoint, 'modelFile'>;

async function readShards(root: string, index: string, problems: ModelProblem[]): Promise<Files | undefined> {
  const shards = await readIndex(root, index, problems);
  if (shards === undefined) return undefined;
  const names = [...new Set(shards.values())].sort();
  const found = await readFiles(root, names, problems);
  if (found === undefined || problems.length > 0) return undefined;
  const wrong = [...shards].filter(([tensor, shard]) => names[found.tensors.get(tensor)?.file ?? -1] !== shard);
  const [tensor = '', shard = ''] = wrong[0] ?? [];
  if (wrong.length > 0)
    problems.push({
      file: index,
      problem: `names the wrong files for ${wrong.length} tensors: ${quoted(shard)} lacks ${quoted(tensor)}`,
    });
  return found;
}

/**
 * The shards that an index names: name of a tensor → path of its shard, relative to the folder and
 * normalized. Returns undefined if the index has a problem, which is added to `problems`.
 */
export async function readIndex(
  root: string,
  index: string,
  problems: ModelProblem[],
): Promise<ReadonlyMap<string, string> | undefined> {
  try {
    const { handle } = await openModelFile(root, index);
    try {
      const { size } = await handle.stat();
      if (size > MAX_JSON_BYTES) throw new BrokenCheckpoint(`has ${size} bytes; at most ${MAX_JSON_BYTES} are allowed`);
      return await shardsIn(await handle.readFile());
    } finally {
      await handle.close();
    }
  } catch (error) {
    problems.push({ file: index, problem: problemOf(error) });
    return undefined;
  }
}

async function shardsIn(bytes: Buffer): Promise<ReadonlyMap<string, string>> {
  if (!isUtf8(bytes)) throw new BrokenCheckpoint('is not UTF-8');
  const json = new JsonReader(
    bytes.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK) ? bytes.subarray(BYTE_ORDER_MARK.length) : bytes,
  );
  let shards: Map<string, string> | undefined;
  for (const key of json.keys(HEADER_LIMITS.name)) {
    if (key !== 'weight_map') json.skip();
    else if (shards !== undefined) throw new BrokenCheckpoint('has two "weight_map"');
    else {
      shards = new Map();
      await readWeightMap(json, shards);
    }
  }
  json.end();
  if (shards === undefined || shards.size === 0) throw new BrokenCheckpoint('has no "weight_map" with names of files');
  return shards;
}

async function readWeightMap(json: JsonReader, shards: Map<string, string>): Promise<void> {
  const files = new Set<string>();
  for (const tensor of json.keys(HEADER_LIMITS.name)) {
    const file = json.string(MAX_PATH);
    if (shards.has(tensor)) throw new BrokenCheckpoint(`names tensor ${quoted(tensor)} twice`);
    if (!/^[^\0]+\.safetensors$/.test(file) || leavesFolder(file))
      throw new BrokenCheckpoint(`names the file ${quoted(file)}: allowed are .safetensors files of the folder`);
    shards.set(tensor, normalize(file));
    files.add(normalize(file));
    if (shards.size > HEADER_LIMITS.tensors)
      throw new BrokenCheckpoint(`names more than ${HEADER_LIMITS.tensors} tensors, which is the limit`);
    if (files.size > MAX_SHARDS) throw new BrokenCheckpoint(`names more than ${MAX_SHARDS} files, which is the limit`);
    if (shards.size % ENTRIES_PER_TURN === 0) await nextTurn();
  }
}

async function readFiles(root: string, names: readonly string[], problems: ModelProblem[]): Promise<Files | undefined> {
  const tensors = new Map<string, TensorPlace>();
  const budget = headerBudget();
  const read: SafetensorsFile[] = [];
  for (const [index, file] of names.entries()) {
    const found = await readFile({ root, file, index }, budget, problems);
    if (found === undefined) continue;
    const twice = mergeInto(tensors, found.tensors);
    const other = twice === undefined ? undefined : names[tensors.get(twice)?.file ?? -1];
    if (twice !== undefined) problems.push({ file, problem: `has tensor ${quoted(twice)}, which ${other} has too` });
    read.push(found);
  }
  if (read.length < names.length) return undefined;
  const dtype = dtypeOf(read, problems, names);
  const bytes = read.reduce((sum, one) => sum + one.bytes, 0);
  return dtype && { files: read.map(({ real }) => real), tensors, bytes, dtype };
}

async function readFile(
  place: { readonly root: string; readonly file: string; readonly index: number },
  budget: HeaderBudget,
  problems: ModelProblem[],
): Promise<SafetensorsFile | undefined> {
  if ((await checkFile(place.root, place.file, problems)) === undefined) return undefined;
  try {
    return await readSafetensors(place, budget);
  } catch (error) {
    problems.push({ file: place.file, problem: problemOf(error) });
    return undefined;
  }
}

/** Adds the tensors of a file. Returns the first tensor that another file has too. */
function mergeInto(all: Map<string, TensorPlace>, tensors: ReadonlyMap<string, TensorPlace>): string | undefined {
  let twice: string | undefined;
  for (const [name, place] of tensors) {
    if (all.has(name)) twice ??= name;
    else all.set(name, place);
  }
  return twice;
}

/** The element type of most of the bytes: type → bytes. */
export function mainType(bytes: ReadonlyMap<string, number>): string | undefined {
  return [...bytes].sort(([, a], [, b]) => b - a)[0]?.[0];
}

/** The dtype of an element type of safetensors; undefined for a type that no worker computes with. */
export const dtypeOfType = (type: string | undefined): CheckpointDtype | undefined =>
  [...DTYPES].find(([one]) => one === type)?.[1];

/** The element type of most of the bytes. A checkpoint of another type is quantized, or is no model. */
function dtypeOf(
  read: readonly SafetensorsFile[],
  problems: ModelProblem[],
  [file = '']: readonly string[],
): CheckpointDtype | undefined {
  const bytes = new Map<string, number>();
  for (const { bytesByType } of read)
    for (const [type, count] of bytesByType) bytes.set(type, (bytes.get(type) ?? 0) + count);
  for (const { tensors } of read)
    for (const [name, tensor] of tensors)
      if (MXFP4_PART.test(name) && tensor.type === UINT8) bytes.set('U8', (bytes.get('U8') ?? 0) - tensor.bytes);
  const type = mainType(bytes);
  const dtype = dtypeOfType(type);
  if (dtype !== undefined || problems.length > 0) return dtype;
  const has = type === undefined ? 'has no tensors' : `has weights of type ${quoted(type)}`;
  problems.push({ file, problem: `${has}: use a checkpoint with weights of type F32, F16 or BF16` });
  return undefined;
}

function problemOf(error: unknown): string {
  if (error instanceof JsonFault) return error.message;
  return error instanceof BrokenCheckpoint ? error.message : unreadable(error);
}
