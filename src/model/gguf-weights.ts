/**
 * The weights of a GGUF model, and the configuration and the tokenizer that are derived from its metadata.
 * Reads headers, but no weights.
 */
import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { CPU, type DeviceName } from '../protocol/devices.ts';
import { inSlices } from '../protocol/start/slices.ts';
import { UnsupportedCheckpoint } from './checkpoint/families/unsupported.ts';
import { deriveFiles } from './checkpoint/gguf/derive.ts';
import type { DerivedFiles } from './checkpoint/gguf/derived-files.ts';
import type { GgufModel } from './checkpoint/gguf/gguf-file.ts';
import { ggufModelsAmong, isGgufName } from './checkpoint/gguf/gguf-names.ts';
import type { GgufOpener } from './checkpoint/gguf/read-file.ts';
import { readGguf } from './checkpoint/gguf/read-gguf.ts';
import { chooseGgufDtype, type DtypeChoice } from './dtypes.ts';
import { openModelFile } from './folder-files.ts';
import type { ModelProblem } from './problems.ts';
import type { ChosenWeights, FoundWeights } from './weights.ts';

/** The weights and the derived files of a GGUF model. */
export interface GgufWeights extends FoundWeights {
  readonly derived: DerivedFiles;
}

export interface GgufQuery {
  readonly dtype: DtypeChoice;
  readonly devices: readonly DeviceName[];
  /** True if a tokenizer.json is beside the file. */
  readonly hasTokenizer: boolean;
  /** Opens files of a model that is not on the disk. */
  readonly remote?: GgufOpener;
}

/** Maximum number of models that a problem lists. */
const MAX_LISTED = 8;

/** The GGUF files of a folder, in messages. */
const ALL_MODELS = '*.gguf';

/** The first bytes of a GGUF file. */
const MAGIC = 'GGUF';

/**
 * The GGUF file that a setting names; undefined for a folder and for another file. The name of a file need
 * not end in `.gguf`: the collections of some programs name their files by digests. A link is replaced by its
 * target, because the operator named the link; but not a link to a blob of a hub cache, whose own name states
 * the part.
 */
export async function ggufFileAt(path: string): Promise<string | undefined> {
  const real = await realpath(path).catch(() => undefined);
  if (real === undefined || !(await stat(real)).isFile()) return undefined;
  if (isGgufName(real)) return real;
  if (isGgufName(path)) return path;
  return (await beginsAsGguf(real).catch(() => false)) ? real : undefined;
}

async function beginsAsGguf(path: string): Promise<boolean> {
  const { handle } = await openModelFile(dirname(path), basename(path));
  try {
    const { buffer } = await handle.read(Buffer.alloc(MAGIC.length), 0, MAGIC.length, 0);
    return buffer.toString('latin1') === MAGIC;
  } finally {
    await handle.close();
  }
}

/** One file of each GGUF model that is directly in a folder; empty for a folder that cannot be read. */
export const ggufModelsIn = async (root: string): Promise<string[]> =>
  ggufModelsAmong(await readdir(root).catch((): string[] => []));

/** The only model of a list. Several models, and none, are a problem. */
export function onlyModel(models: readonly string[], root: string, problems: ModelProblem[]): string | undefined {
  const [model, ...more] = models;
  if (model !== undefined && more.length === 0) return model;
  if (model === undefined) {
    problems.push({ file: ALL_MODELS, problem: 'is missing' });
    return undefined;
  }
  const listed = models.slice(0, MAX_LISTED).join(', ');
  const others = models.length > MAX_LISTED ? ` and ${models.length - MAX_LISTED} more` : '';
  const problem = `matches ${models.length} models: ${listed}${others}. Use --model ${root}/${model}`;
  problems.push({ file: ALL_MODELS, problem });
  return undefined;
}

/**
 * Reads a model and chooses its weights for each device. Adds all problems of the model.
 * @param file name of a file of the model in `root`
 */
export async function findGguf(
  root: string,
  file: string,
  query: GgufQuery,
  problems: ModelProblem[],
): Promise<GgufWeights | undefined> {
  const model = await readGguf(root, file, problems, query.remote);
  if (model === undefined) return undefined;
  const derived = await derivedFrom(model, query.hasTokenizer, problems);
  if (derived === undefined) return undefined;
  const choices = query.devices.flatMap((device) => chosenFor(device, query.dtype, model, derived));
  if (choices.length === 0) problems.push(unsuitable(file, query, model));
  return { choices, dtypes: [model.dtype], derived };
}

async function derivedFrom(
  model: GgufModel,
  hasTokenizer: boolean,
  problems: ModelProblem[],
): Promise<DerivedFiles | undefined> {
  try {
    return await inSlices(deriveFiles(model, hasTokenizer));
  } catch (error) {
    if (!(error instanceof UnsupportedCheckpoint)) throw error;
    problems.push(...error.problems);
    return undefined;
  }
}

function chosenFor(
  device: DeviceName,
  choice: DtypeChoice,
  { modelFile, files, bytes, dtype }: GgufModel,
  { tensors }: DerivedFiles,
): ChosenWeights[] {
  const chosen = chooseGgufDtype(device, choice, dtype);
  const checkpoint = { modelFile, files, tensors, bytes, dtype };
  return chosen ? [{ device, ...chosen, modelFile, weightFiles: files, bytes, checkpoint }] : [];
}

function unsuitable(file: string, { dtype, devices }: GgufQuery, model: GgufModel): ModelProblem {
  if (chooseGgufDtype(CPU, dtype, model.dtype))
    return { file, problem: `does not run on ${devices.join(', ')}: use --device cpu, webgpu or cuda` };
  return { file, problem: `has the dtype ${model.dtype}, and not ${dtype}: use --dtype auto` };
}
