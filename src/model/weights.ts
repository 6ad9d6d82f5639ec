/**
 * Finds a folder's weights and chooses those that suit each device: the .onnx file by its name (or by the name that `genai_config.json`
 * gives it), and beside it the files with external data by the names that the graph gives them, whatever their spelling.
 */
import { readdir } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, normalize } from 'node:path';
import { type ChosenDtype, chooseDtype, DTYPES, type Dtype, type DtypeChoice, dtypeNamed, SUFFIXES } from './dtypes.ts';
import { BrokenOnnx, cutOff, type OnnxFile, readOnnxFile } from './onnx-weights.ts';
import { checkFile, exists, leavesFolder, type ModelProblem, unreadable } from './problems.ts';

/** The weights for one device, and why these. Paths are absolute. */
export interface ChosenWeights extends ChosenDtype {
  /** As the engine names it: `cpu`, `cuda-0`, … */
  readonly device: string;
  readonly modelFile: string;
  /** The .onnx file and its external data. */
  readonly weightFiles: readonly string[];
  /** Of all weight files. */
  readonly bytes: number;
}

export interface FoundWeights {
  /** One per device, in the order they were asked for. */
  readonly choices: readonly ChosenWeights[];
  /** All that the folder has. */
  readonly dtypes: readonly Dtype[];
}

/** What is looked for. */
export interface WeightsQuery {
  readonly dtype: DtypeChoice;
  readonly devices: readonly string[];
  /** Path from the folder, as `genai_config.json` says it. */
  readonly genaiFile?: string | undefined;
}

/** At most so many names of files that are there instead. */
const MAX_ALTERNATIVES = 3;
/** Of one folder, looked into for models. */
const MAX_FOLDERS = 50;

/** Weights that are missing or broken, those with external data that is cut off too, are added to the problems. */
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

/** The file of each dtype there is. What GenAI's configuration names goes by its graph: such files are called model.onnx whatever they hold. */
async function filesByDtype(
  root: string,
  genaiFile: string | undefined,
  problems: ModelProblem[],
): Promise<ReadonlyMap<Dtype, string>> {
  const files = new Map<Dtype, string>();
  if (genaiFile !== undefined && (await exists(join(root, genaiFile)))) {
    const bytes = await checkFile(root, genaiFile, problems);
    const graph = bytes > 0 ? await graphOf(root, genaiFile, problems) : undefined;
    if (graph) files.set(graph.dtype, genaiFile);
  }
  for (const dtype of DTYPES) {
    for (const file of weightNames(dtype))
      if (file !== genaiFile && !files.has(dtype) && (await exists(join(root, file)))) files.set(dtype, file);
  }
  return files;
}

/** Places for a dtype, by preference. */
function weightNames(dtype: Dtype): string[] {
  return [`onnx/model${SUFFIXES[dtype]}.onnx`, `model${SUFFIXES[dtype]}.onnx`];
}

async function measure(
  root: string,
  file: string,
  problems: ModelProblem[],
): Promise<Pick<ChosenWeights, 'weightFiles' | 'bytes'>> {
  let bytes = await checkFile(root, file, problems);
  const weightFiles = [join(root, file)];
  const graph = bytes > 0 ? await graphOf(root, file, problems) : undefined;
  for (const [name, needed] of [...(graph?.external ?? [])].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const path = normalize(join(dirname(file), name));
    // The runtime refuses these too, in words that do not name the file.
    if (name === '' || isAbsolute(name) || leavesFolder(path)) {
      problems.push({ file, problem: `names weights outside of the folder (${JSON.stringify(name.slice(0, 100))})` });
      continue;
    }
    const size = await checkFile(root, path, problems);
    if (size > 0 && size < needed) problems.push({ file: path, problem: cutOff(size, needed, basename(file)) });
    weightFiles.push(join(root, path));
    bytes += size;
  }
  return { weightFiles, bytes };
}

async function graphOf(root: string, file: string, problems: ModelProblem[]): Promise<OnnxFile | undefined> {
  try {
    return await readOnnxFile(join(root, file));
  } catch (error) {
    problems.push({ file, problem: error instanceof BrokenOnnx ? error.message : unreadable(error) });
    return undefined;
  }
}

/** Which names were looked for in vain, and what is there instead. */
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

/** Files of other names, and folders below that are models themselves: repositories of GenAI exports hold one for each device. */
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

/** Folders of the first and second floor, not those behind links: a wrong folder can be a large one. */
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
