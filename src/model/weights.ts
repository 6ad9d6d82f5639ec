/**
 * Finds the weights in a folder and chooses weights for each device. Finds .onnx files by the standard names
 * or by `genai_config.json`, and external data by the names in the graph. Reads the graphs, but no weights.
 */
import { readdir } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, normalize } from 'node:path';
import type { DeviceName } from '../protocol/devices.ts';
import { type ChosenDtype, chooseDtype, DTYPES, type Dtype, type DtypeChoice, dtypeNamed, SUFFIXES } from './dtypes.ts';
import { BrokenOnnx, type OnnxFile, readOnnxFile, truncation } from './onnx-weights.ts';
import { checkFile, exists, leavesFolder, type ModelProblem, unreadable } from './problems.ts';

/** Weights for one device, with the reason for the choice. Paths are absolute. */
export interface ChosenWeights extends ChosenDtype {
  readonly device: DeviceName;
  readonly modelFile: string;
  /** The .onnx file and its external data, with links resolved. */
  readonly weightFiles: readonly string[];
  /** Total size of all weight files. */
  readonly bytes: number;
}

export interface FoundWeights {
  /** One per device, in the order of the query. */
  readonly choices: readonly ChosenWeights[];
  /** All dtypes that the folder has. */
  readonly dtypes: readonly Dtype[];
}

/** Request for weights. */
export interface WeightsQuery {
  readonly dtype: DtypeChoice;
  readonly devices: readonly DeviceName[];
  /** Path that `genai_config.json` states, relative to the folder. */
  readonly genaiFile?: string | undefined;
}

/** Maximum number of other model files that a problem lists. */
const MAX_ALTERNATIVES = 3;
/** Maximum number of subfolders of one folder that are searched for models. */
const MAX_FOLDERS = 50;

/**
 * Finds weights for each device of the query. Missing and broken weights, including truncated external data,
 * are added to `problems`.
 */
export async function findWeights(root: string, query: WeightsQuery, problems: ModelProblem[]): Promise<FoundWeights> {
  const files = await filesByDtype(root, query.genaiFile, problems);
  const dtypes = DTYPES.filter((dtype) => files.has(dtype));
  const measured = new Map<string, Pick<ChosenWeights, 'weightFiles' | 'bytes'>>();
  const choices: ChosenWeights[] = [];
  for (const device of query.devices) {
    const chosen = chooseDtype(device, query.dtype, new Set(dtypes));
    const file = chosen && files.get(chosen.dtype);
    if (chosen === undefined || file === undefined) continue;
    const sizes = measured.get(file) ?? (await measure(root, file, problems));
    measured.set(file, sizes);
    choices.push({ device, ...chosen, modelFile: join(root, file), ...sizes });
  }
  if (choices.length === 0 && problems.length === 0) problems.push(await missingWeights(root, query, files));
  return { choices, dtypes };
}

/**
 * The .onnx file of each available dtype. The dtype of the file that genai_config.json names is read from the
 * graph, because such files are called model.onnx for every dtype.
 */
async function filesByDtype(
  root: string,
  genaiFile: string | undefined,
  problems: ModelProblem[],
): Promise<ReadonlyMap<Dtype, string>> {
  const files = new Map<Dtype, string>();
  if (genaiFile !== undefined && (await exists(join(root, genaiFile)))) {
    const found = await checkFile(root, genaiFile, problems);
    const graph = found ? await graphOf(root, genaiFile, problems) : undefined;
    if (graph) files.set(graph.dtype, genaiFile);
  }
  for (const dtype of DTYPES) {
    for (const file of weightNames(dtype))
      if (file !== genaiFile && !files.has(dtype) && (await exists(join(root, file)))) files.set(dtype, file);
  }
  return files;
}

/** Standard paths for a dtype, in order of preference. */
function weightNames(dtype: Dtype): string[] {
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

/** Names the expected files and the model files that the folder has instead. */
async function missingWeights(
  root: string,
  query: WeightsQuery,
  files: ReadonlyMap<Dtype, string>,
): Promise<ModelProblem> {
  const { dtype, genaiFile } = query;
  const names = weightNames(dtype === 'auto' ? 'fp32' : dtypeNamed(dtype)).join(' or ');
  const described = [...files].map(([kind, file]) => `${file} (${kind})`);
  const present = described.length > 0 ? described : await alternativesIn(root);
  const instead = present.length === 0 ? '' : `; the folder has ${present.join(', ')}`;
  if (genaiFile !== undefined && described.length === 0)
    return { file: genaiFile, problem: `is missing (genai_config.json names it)${instead}` };
  return { file: names, problem: `is missing${dtype === 'auto' ? '' : ` (dtype ${dtype})`}${instead}` };
}

/**
 * Other .onnx files, and subfolders that are models themselves: GenAI repositories have one folder for each
 * device.
 */
async function alternativesIn(root: string): Promise<string[]> {
  const alternatives: string[] = [];
  for (const folder of ['', ...(await foldersIn(root, ''))]) {
    const names = await namesIn(join(root, folder));
    if (folder !== '' && names.includes('genai_config.json')) alternatives.push(`a model in ${folder}/`);
    else if (folder === '' || folder === 'onnx')
      alternatives.push(...names.filter((name) => name.endsWith('.onnx')).map((name) => join(folder, name)));
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
