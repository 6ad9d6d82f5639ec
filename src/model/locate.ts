/**
 * Finds the files of a model in its folder. Checks names, sizes and first bytes, and reads only the fields
 * that name other files; spec.ts reads all other fields. Reports all problems of a folder at once.
 */
import { stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { CPU, type DeviceName } from '../protocol/devices.ts';
import type { DerivedFiles } from './checkpoint/gguf/derived-files.ts';
import type { DtypeChoice, FormatChoice } from './dtypes.ts';
import { findGguf, type GgufQuery, ggufFileAt, ggufModelsIn, onlyModel } from './gguf-weights.ts';
import { checkFile, exists, ModelError, type ModelProblem, unreadable } from './problems.ts';
import { graphFileOf } from './spec/genai.ts';
import { type FoundWeights, findWeights } from './weights.ts';

/**
 * Absolute paths of a model's files, all of which exist, are readable and complete. At least one of the two
 * configurations is present, or the contents of a GGUF file.
 */
export interface ModelFiles extends FoundWeights {
  readonly folder: string;
  /**
   * Present for a GGUF model: the contents of the files that come from its metadata. A path of the same file
   * takes precedence.
   */
  readonly derived?: DerivedFiles;
  readonly configFile?: string;
  readonly genaiConfigFile?: string;
  readonly generationConfigFile?: string;
  /** Absent for a GGUF model without a tokenizer.json beside it. */
  readonly tokenizerFile?: string;
  readonly tokenizerConfigFile?: string;
  /** `special_tokens_map.json`. */
  readonly specialTokensFile?: string;
  /** `added_tokens.json`. */
  readonly addedTokensFile?: string;
  /** `chat_template.jinja`, or else `chat_template.json` with the field `chat_template`. */
  readonly chatTemplateFile?: string;
}

const TOKENIZER = 'tokenizer.json';
const GENAI = 'genai_config.json';
/** Files that may be absent, each with its names. The first existing file is used. */
const OPTIONAL = {
  configFile: ['config.json'],
  genaiConfigFile: [GENAI],
  generationConfigFile: ['generation_config.json'],
  tokenizerConfigFile: ['tokenizer_config.json'],
  specialTokensFile: ['special_tokens_map.json'],
  addedTokensFile: ['added_tokens.json'],
  chatTemplateFile: ['chat_template.jinja', 'chat_template.json'],
} as const satisfies Partial<Record<keyof ModelFiles, readonly string[]>>;
/** The files that a GGUF model takes from its folder: without a tokenizer.json, and with one. */
const TEMPLATE_ONLY = ['chatTemplateFile'] as const;
const BESIDE_TOKENIZER = ['tokenizerConfigFile', 'specialTokensFile', 'addedTokensFile', 'chatTemplateFile'] as const;

/**
 * Finds all files of a GGUF model, or of a folder in the layout of the hub or of ONNX Runtime GenAI. Follows
 * links as openModelFile does. The weights of a folder are the file that `genai_config.json` names,
 * `onnx/model<suffix>.onnx`, `model<suffix>.onnx` beside the configuration, the checkpoint
 * `model.safetensors`, also in shards, or else its only GGUF model.
 * @param path a folder or a GGUF file
 * @param devices devices for each of which weights are chosen
 * @param format `auto`: .onnx files, and the checkpoint where none suits, or else the GGUF model
 * @throws ModelError with every missing or broken file.
 */
export async function locateModel(
  path: string,
  dtype: DtypeChoice = 'auto',
  devices: readonly DeviceName[] = [CPU],
  format: FormatChoice = 'auto',
): Promise<ModelFiles> {
  const root = resolve(path);
  const file = await ggufFileAt(root);
  if (file !== undefined) return await locateGguf(file, { dtype, devices, format });
  await expectFolder(root);
  const ggufModels = format === 'auto' || format === 'gguf' ? await ggufModelsIn(root) : [];
  const problems: ModelProblem[] = [];
  if (format === 'gguf') return await locateOnlyGguf(root, ggufModels, { dtype, devices, format });
  const found = await optionalFiles(root, problems);
  const { configFile, genaiConfigFile } = found;
  if (configFile === undefined && genaiConfigFile === undefined)
    problems.push({ file: 'config.json or genai_config.json', problem: 'is missing' });
  const genaiFile = problems.some(({ file }) => file === GENAI)
    ? undefined
    : await graphFileOf(genaiConfigFile, problems);
  const weightProblems: ModelProblem[] = [];
  const hasGguf = ggufModels.length > 0;
  const weights = await findWeights(root, { dtype, format, devices, genaiFile, hasGguf }, weightProblems);
  if (hasGguf && weights.choices.length + weightProblems.length === 0)
    return await locateOnlyGguf(root, ggufModels, { dtype, devices, format });
  if (weights.dtypes.length === 0 && genaiConfigFile !== undefined && genaiFile === undefined && problems.length === 0)
    problems.push({ file: GENAI, problem: 'lacks "model.decoder.filename"' });
  await checkFile(root, TOKENIZER, problems);
  if (problems.some(({ file }) => file === TOKENIZER) && (await exists(join(root, 'tokenizer.model'))))
    problems.push({ file: 'tokenizer.model', problem: `is not supported: convert it to ${TOKENIZER}` });
  if (problems.length + weightProblems.length > 0) throw new ModelError(root, [...weightProblems, ...problems]);
  return { folder: root, ...weights, ...found, tokenizerFile: join(root, TOKENIZER) };
}

async function expectFolder(root: string): Promise<void> {
  const refuse = (problem: string): never => {
    throw new ModelError(dirname(root), [{ file: basename(root), problem }]);
  };
  const stats = await stat(root).catch((error: unknown) =>
    refuse(error instanceof Error && 'code' in error && error.code === 'ENOENT' ? 'does not exist' : unreadable(error)),
  );
  if (!stats.isDirectory() && !stats.isFile()) refuse('is not a regular file');
  if (!stats.isDirectory()) refuse('is a file: use its folder, or a .gguf file');
}

type GgufSelection = Omit<GgufQuery, 'hasTokenizer'> & { readonly format: FormatChoice };

/** The model of a folder that has no other weights. */
async function locateOnlyGguf(root: string, models: readonly string[], selection: GgufSelection): Promise<ModelFiles> {
  const problems: ModelProblem[] = [];
  const file = onlyModel(models, root, problems);
  if (file === undefined) throw new ModelError(root, problems);
  return await locateGguf(join(root, file), selection);
}

/**
 * A GGUF model and the files beside it. The metadata replace config.json and generation_config.json: those of
 * a folder can belong to another model. A tokenizer.json takes precedence over the metadata, with the files
 * that belong to it. A template file takes precedence too.
 */
async function locateGguf(path: string, { format, ...query }: GgufSelection): Promise<ModelFiles> {
  const [root, file] = [dirname(path), basename(path)];
  const problems: ModelProblem[] = [];
  if (format !== 'auto' && format !== 'gguf') problems.push({ file, problem: `is not in the format ${format}` });
  const tokenizerFile = (await exists(join(root, TOKENIZER))) ? join(root, TOKENIZER) : undefined;
  const hasTokenizer = tokenizerFile !== undefined;
  const weights = problems.length === 0 ? await findGguf(root, file, { ...query, hasTokenizer }, problems) : undefined;
  if (hasTokenizer) await checkFile(root, TOKENIZER, problems);
  const found = await optionalFiles(root, problems, hasTokenizer ? BESIDE_TOKENIZER : TEMPLATE_ONLY);
  if (weights === undefined || problems.length > 0) throw new ModelError(root, problems);
  return { folder: root, ...weights, ...found, ...(tokenizerFile !== undefined && { tokenizerFile }) };
}

type OptionalFiles = Partial<Record<keyof typeof OPTIONAL, string>>;

async function optionalFiles(
  root: string,
  problems: ModelProblem[],
  keys: readonly (keyof typeof OPTIONAL)[] = Object.keys(OPTIONAL) as (keyof typeof OPTIONAL)[],
): Promise<OptionalFiles> {
  const found: OptionalFiles = {};
  for (const key of keys) {
    for (const name of OPTIONAL[key]) {
      if (found[key] !== undefined || !(await exists(join(root, name)))) continue;
      await checkFile(root, name, problems);
      found[key] = join(root, name);
    }
  }
  return found;
}
