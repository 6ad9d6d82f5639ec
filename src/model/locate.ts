/**
 * Finds the files of a model in its folder. Checks names, sizes and first bytes, and reads only the fields
 * that name other files; spec.ts reads all other fields. Reports all problems of a folder at once.
 */
import { stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { CPU, type DeviceName } from '../protocol/devices.ts';
import type { DtypeChoice, FormatChoice } from './dtypes.ts';
import { checkFile, exists, ModelError, type ModelProblem, unreadable } from './problems.ts';
import { graphFileOf } from './spec/genai.ts';
import { type FoundWeights, findWeights } from './weights.ts';

/**
 * Absolute paths of a model's files, all of which exist, are readable and complete. At least one of the two
 * configurations is present.
 */
export interface ModelFiles extends FoundWeights {
  readonly folder: string;
  readonly configFile?: string;
  readonly genaiConfigFile?: string;
  readonly generationConfigFile?: string;
  readonly tokenizerFile: string;
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

/**
 * Finds all files of a folder in the layout of the hub or of ONNX Runtime GenAI. Follows links as
 * openModelFile does. The weights are the file that `genai_config.json` names, `onnx/model<suffix>.onnx`,
 * `model<suffix>.onnx` beside the configuration, or the checkpoint `model.safetensors`, also in shards.
 * @param devices devices for each of which weights are chosen
 * @param format `auto`: .onnx files, and the checkpoint where none suits
 * @throws ModelError with every missing or broken file.
 */
export async function locateModel(
  folder: string,
  dtype: DtypeChoice = 'auto',
  devices: readonly DeviceName[] = [CPU],
  format: FormatChoice = 'auto',
): Promise<ModelFiles> {
  const root = resolve(folder);
  await expectFolder(root);
  const problems: ModelProblem[] = [];
  const found = await optionalFiles(root, problems);
  const { configFile, genaiConfigFile } = found;
  if (configFile === undefined && genaiConfigFile === undefined)
    problems.push({ file: 'config.json or genai_config.json', problem: 'is missing' });
  const genaiFile = problems.some(({ file }) => file === GENAI)
    ? undefined
    : await graphFileOf(genaiConfigFile, problems);
  const weightProblems: ModelProblem[] = [];
  const weights = await findWeights(root, { dtype, format, devices, genaiFile }, weightProblems);
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
    throw new ModelError(root, [{ file: '', problem }]);
  };
  const stats = await stat(root).catch((error: unknown) =>
    refuse(
      error instanceof Error && 'code' in error && error.code === 'ENOENT'
        ? 'the folder does not exist'
        : `the folder ${unreadable(error)}`,
    ),
  );
  if (!stats.isDirectory())
    throw new ModelError(dirname(root), [{ file: '', problem: 'the path is a file: use its folder' }]);
}

type OptionalFiles = Partial<Record<keyof typeof OPTIONAL, string>>;

async function optionalFiles(root: string, problems: ModelProblem[]): Promise<OptionalFiles> {
  const found: OptionalFiles = {};
  for (const [key, names] of Object.entries(OPTIONAL) as [keyof typeof OPTIONAL, readonly string[]][]) {
    for (const name of names) {
      if (found[key] !== undefined || !(await exists(join(root, name)))) continue;
      await checkFile(root, name, problems);
      found[key] = join(root, name);
    }
  }
  return found;
}
