/**
 * Finds the weights in a folder and chooses weights for each device. Finds .onnx files by the standard names
 * or by `genai_config.json`, external data by the names in the graph, and checkpoints by their standard
 * names. Reads the graphs and the headers, but no weights.
 */
import { readdir } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, normalize, relative } from 'node:path';
import { CPU, type DeviceName } from '../protocol/devices.ts';
import {
  type Checkpoint,
  type CheckpointContent,
  INDEX_FILE,
  readCheckpoint,
  SINGLE_FILE,
} from './checkpoint/shards.ts';
import {
  type ChosenDtype,
  chooseCheckpoint,
  chooseDtype,
  type DtypeChoice,
  dtypeNamed,
  type FormatChoice,
  ONNX_DTYPES,
  type OnnxDtype,
  QUANTIZED_AT_LOAD,
  type QuantizedAtLoad,
  SUFFIXES,
} from './dtypes.ts';
import { BrokenOnnx, type OnnxFile, readOnnxFile, truncation } from './onnx-weights.ts';
import { checkFile, exists, leavesFolder, type ModelProblem, unreadable } from './problems.ts';

/** Weights for one device, with the reason for the choice. Paths are absolute. */
export interface ChosenWeights extends ChosenDtype<string> {
  readonly device: DeviceName;
  /** The .onnx file, or the index or only file of a checkpoint. */
  readonly modelFile: string;
  /** The .onnx file and its external data, or the files of a checkpoint, with links resolved. */
  readonly weightFiles: readonly string[];
  /** Total size of all weight files. */
  readonly bytes: number;
  /** Present if the weights are a checkpoint; absent for an .onnx file. */
  readonly checkpoint?: CheckpointContent;
  /** The engine quantizes the matrices of the checkpoint to `dtype`. */
  readonly quantize?: QuantizedAtLoad;
}

export interface FoundWeights {
  /** One per device, in the order of the query. */
  readonly choices: readonly ChosenWeights[];
  /** All dtypes that the folder has; that of a checkpoint only if no .onnx file suits. */
  readonly dtypes: readonly string[];
}

/** Request for weights. */
export interface WeightsQuery {
  readonly dtype: DtypeChoice;
  readonly format: FormatChoice;
  readonly devices: readonly DeviceName[];
  /** Path that `genai_config.json` states, relative to the folder. */
  readonly genaiFile?: string | undefined;
  /** The folder has GGUF files, which the caller uses if there are no other weights. */
  readonly hasGguf?: boolean;
}

/** A file of a checkpoint that has an index, as transformers names them. */
const SHARD = /^model-\d+-of-\d+\.safetensors$/;
const OTHER_WEIGHTS = /\.(?:onnx|safetensors)$/;
/** Maximum number of other model files that a problem lists. */
const MAX_ALTERNATIVES = 3;
/** Maximum number of subfolders of one folder that are searched for models. */
const MAX_FOLDERS = 50;

/**
 * Finds weights for each device of the query: an .onnx file, and a checkpoint for a device for which no .onnx
 * file suits. Missing and broken weights, including truncated external data, are added to `problems`.
 */
export async function findWeights(root: string, query: WeightsQuery, problems: ModelProblem[]): Promise<FoundWeights> {
  const { dtype, format, devices } = query;
  const files =
    format === 'safetensors' ? new Map<OnnxDtype, string>() : await filesByDtype(root, query.genaiFile, problems);
  const available: ReadonlySet<OnnxDtype> = new Set(ONNX_DTYPES.filter((one) => files.has(one)));
  const isComplete = devices.every((device) => chooseDtype(device, dtype, available));
  const checkpoint = isComplete || format === 'onnx' ? undefined : await readCheckpoint(root, problems);
  const measured = new Map<string, Pick<ChosenWeights, 'weightFiles' | 'bytes'>>();
  const choices: ChosenWeights[] = [];
  for (const device of devices) {
    const chosen = chooseDtype(device, dtype, available);
    const file = chosen && files.get(chosen.dtype);
    if (chosen === undefined || file === undefined) {
      choices.push(...(checkpoint ? checkpointFor(device, dtype, checkpoint) : []));
      continue;
    }
    const sizes = measured.get(file) ?? (await measure(root, file, problems));
    measured.set(file, sizes);
    choices.push({ device, ...chosen, modelFile: join(root, file), ...sizes });
  }
  const hasOthers = query.hasGguf === true && available.size === 0 && checkpoint === undefined;
  if (choices.length === 0 && problems.length === 0 && !hasOthers)
    problems.push(await missingWeights(root, query, { files, checkpoint }));
  return { choices, dtypes: [...new Set([...available, ...(checkpoint ? [checkpoint.dtype] : [])])] };
}

function checkpointFor(device: DeviceName, choice: DtypeChoice, checkpoint: Checkpoint): ChosenWeights[] {
  const chosen = chooseCheckpoint(device, choice, checkpoint.dtype);
  if (chosen === undefined) return [];
  const { modelFile, files, bytes } = checkpoint;
  return [{ device, ...chosen, modelFile, weightFiles: files, bytes, checkpoint }];
}

/**
 * The .onnx file of each available dtype. The dtype of the file that genai_config.json names is read from the
 * graph, because such files are called model.onnx for every dtype.
 */
async function filesByDtype(
  root: string,
  genaiFile: string | undefined,
  problems: ModelProblem[],
): Promise<ReadonlyMap<OnnxDtype, string>> {
  const files = new Map<OnnxDtype, string>();
  if (genaiFile !== undefined && (await exists(join(root, genaiFile)))) {
    const found = await checkFile(root, genaiFile, problems);
    const graph = found ? await graphOf(root, genaiFile, problems) : undefined;
    if (graph) files.set(graph.dtype, genaiFile);
  }
  for (const dtype of ONNX_DTYPES) {
    for (const file of weightNames(dtype))
      if (file !== genaiFile && !files.has(dtype) && (await exists(join(root, file)))) files.set(dtype, file);
  }
  return files;
}

/** Standard paths for a dtype, in order of preference. */
function weightNames(dtype: OnnxDtype): [inFolder: string, atRoot: string] {
  return [`onnx/model${SUFFIXES[dtype]}.onnx`, `model${SUFFIXES[dtype]}.onnx`];
}

async function measure(
  root: string,
  file: string,
  problems: ModelProblem[],
): Promise<Pick<ChosenWeights, 'weightFiles' | 'bytes'>> {
  const found = await checkFile(root, file, problems);
  if (found === undefined) return { weightFiles: [], bytes: 0 };
  let { bytes } = found;
  const weightFiles = [found.real];
  const graph = await graphOf(root, file, problems);
  for (const [name, needed] of [...(graph?.external ?? [])].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const path = normalize(join(dirname(file), name));
    // The runtime also refuses such paths, but its message does not name the file.
    if (name === '' || isAbsolute(name) || path === '.' || leavesFolder(path)) {
      problems.push({
        file,
        problem: `names external data outside the folder (${JSON.stringify(name.slice(0, 100))})`,
      });
      continue;
    }
    const data = await checkFile(root, path, problems);
    if (data === undefined) continue;
    if (data.bytes < needed) problems.push({ file: path, problem: truncation(data.bytes, needed, basename(file)) });
    weightFiles.push(data.real);
    bytes += data.bytes;
  }
  return { weightFiles, bytes };
}

async function graphOf(root: string, file: string, problems: ModelProblem[]): Promise<OnnxFile | undefined> {
  try {
    return await readOnnxFile(root, file);
  } catch (error) {
    problems.push({ file, problem: error instanceof BrokenOnnx ? error.message : unreadable(error) });
    return undefined;
  }
}

/** Weights that were found and do not suit. */
interface Unsuitable {
  readonly files: ReadonlyMap<OnnxDtype, string>;
  readonly checkpoint: Checkpoint | undefined;
}

/** Names the expected files and the model files that the folder has instead. */
async function missingWeights(
  root: string,
  query: WeightsQuery,
  { files, checkpoint }: Unsuitable,
): Promise<ModelProblem> {
  const { dtype, genaiFile, devices } = query;
  const described = [...files].map(([kind, file]) => `${file} (${kind})`);
  if (checkpoint)
    described.push(`${relative(root, checkpoint.modelFile)} (${[checkpoint.dtype, ...QUANTIZED_AT_LOAD].join(', ')})`);
  const present = described.length > 0 ? described : await alternativesIn(root);
  const instead = present.length === 0 ? '' : `; the folder has ${present.join(', ')}`;
  if (genaiFile !== undefined && described.length === 0)
    return { file: genaiFile, problem: `is missing (genai_config.json names it)${instead}` };
  if (checkpoint && chooseCheckpoint(CPU, dtype, checkpoint.dtype))
    return {
      file: relative(root, checkpoint.modelFile),
      problem: `does not run on ${devices.join(', ')}: use --device cpu, webgpu or cuda`,
    };
  if (query.format !== 'onnx' && described.length === 0 && present.some((name) => SHARD.test(name)))
    return { file: INDEX_FILE, problem: `is missing: pull the model again${instead}` };
  const wayOut = dtype !== 'auto' && described.length > 0 ? ': use --dtype auto' : '';
  const missing = dtype === 'auto' ? 'is missing' : `is missing (dtype ${dtype})`;
  return { file: expectedNames(query), problem: `${missing}${instead}${wayOut}` };
}

function expectedNames({ dtype, format }: WeightsQuery): string {
  const choice = dtype === 'auto' ? 'fp32' : dtypeNamed(dtype);
  if (format === 'safetensors' || choice === 'bf16') return `${SINGLE_FILE} or ${INDEX_FILE}`;
  const [inFolder, atRoot] = weightNames(choice);
  const isCheckpoint = dtype === 'auto' || QUANTIZED_AT_LOAD.some((one) => one === choice);
  return isCheckpoint && format === 'auto' ? `${inFolder}, ${atRoot} or ${SINGLE_FILE}` : `${inFolder} or ${atRoot}`;
}

/**
 * Other .onnx and .safetensors files, and subfolders that are models themselves: GenAI repositories have one
 * folder for each device.
 */
async function alternativesIn(root: string): Promise<string[]> {
  const alternatives: string[] = [];
  for (const folder of ['', ...(await foldersIn(root, ''))]) {
    const names = await namesIn(join(root, folder));
    if (folder !== '' && names.includes('genai_config.json')) alternatives.push(`a model in ${folder}/`);
    else if (folder === '' || folder === 'onnx')
      alternatives.push(...names.filter((name) => OTHER_WEIGHTS.test(name)).map((name) => join(folder, name)));
  }
  const more = alternatives.length - MAX_ALTERNATIVES;
  return more > 0 ? [...alternatives.slice(0, MAX_ALTERNATIVES), `${more} more`] : alternatives;
}

/** Folders of the first two levels, links excluded: a wrong folder can be very large. */
async function foldersIn(root: string, above: string): Promise<string[]> {
  const entries = await readdir(join(root, above), { withFileTypes: true }).catch(() => []);
  const names = entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.')).map(({ name }) => name);
  const folders: string[] = [];
  for (const name of names.sort().slice(0, MAX_FOLDERS)) {
    const folder = join(above, name);
    folders.push(folder, ...(above === '' ? await foldersIn(root, folder) : []));
  }
  return folders;
}

async function namesIn(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((): string[] => []);
  return names.sort();
}
