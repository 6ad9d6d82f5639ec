/**
 * Which files of a repository a model needs: its configuration, its words, and the weights of one dtype with their external data. Decides
 * by names alone; nothing is downloaded here.
 */
import { DTYPES, type Dtype, type DtypeChoice, SUFFIXES } from '../dtypes.ts';
import { PullError } from './connection.ts';
import { nameOf } from './reference.ts';
import type { Repository, RepositoryFile } from './repository.ts';

/** What is taken besides the weights, where the repository has it. */
const WORDS = [
  'config.json',
  'generation_config.json',
  'genai_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'chat_template.jinja',
  'chat_template.json',
] as const;

/** The files of a pull, weights last, and how the dtype was chosen. */
export interface Choice {
  readonly files: readonly RepositoryFile[];
  /** What `--model` is to be given as `--dtype`; `auto` where the repository has one file of weights only, by a name of its own. */
  readonly dtype: DtypeChoice;
  /** A sentence for the person who asked. */
  readonly why: string;
}

/**
 * Chooses the files. `decoder` is the file that genai_config.json names, for repositories without weights that are named by dtype.
 * @throws PullError that lists what the repository has when it lacks the dtype, or lacks a file that every model needs.
 */
export function chooseFiles(repository: Repository, wanted: DtypeChoice, decoder?: string): Choice {
  const byPath = new Map(repository.files.map((file) => [file.path, file]));
  const words = WORDS.flatMap((path) => byPath.get(path) ?? []);
  const found = foundWeights(repository);
  const { taken, dtype, why } =
    found.length === 0 && decoder !== undefined
      ? { taken: byPath.get(decoder), dtype: 'auto' as const, why: `weights ${decoder}, which genai_config.json names` }
      : pickDtype(repository, found, wanted);
  const lacking = ['tokenizer.json', 'tokenizer_config.json'].filter((path) => !byPath.has(path));
  if (!byPath.has('config.json') && !byPath.has('genai_config.json')) lacking.unshift('config.json');
  if (taken === undefined) lacking.push(decoder ?? 'model.onnx');
  if (taken === undefined || lacking.length > 0)
    throw new PullError(`${nameOf(repository.reference)} has no ${lacking.join(', no ')}: the worker cannot load it.`);
  return { files: [...words, taken, ...externalData(repository, taken)], dtype, why };
}

/** Whether genai_config.json must be read before files can be chosen. */
export function needsDecoderName(repository: Repository): boolean {
  return foundWeights(repository).length === 0 && repository.files.some(({ path }) => path === 'genai_config.json');
}

interface Weights {
  readonly file: RepositoryFile;
  readonly dtype: Dtype;
}

/** Weights by the names that `locate` looks for, the CPU's best first. */
function foundWeights({ files }: Repository): Weights[] {
  return DTYPES.flatMap((dtype) =>
    [`onnx/model${SUFFIXES[dtype]}.onnx`, `model${SUFFIXES[dtype]}.onnx`].flatMap((path) => {
      const file = files.find((one) => one.path === path);
      return file === undefined ? [] : [{ file, dtype }];
    }),
  );
}

function pickDtype(repository: Repository, found: readonly Weights[], wanted: DtypeChoice) {
  const named = wanted === 'quantized' ? 'q8' : wanted;
  const taken = named === 'auto' ? found[0] : found.find(({ dtype }) => dtype === named);
  const has = [...new Set(found.map(({ dtype }) => dtype))].join(', ');
  if (taken === undefined) {
    const lack = named === 'auto' ? 'no onnx/model*.onnx and no model*.onnx' : `no weights of dtype ${wanted}`;
    throw new PullError(
      `${nameOf(repository.reference)} has ${lack}; ${has === '' ? others(repository) : `it has ${has}`}.`,
    );
  }
  const why =
    named === 'auto'
      ? `dtype ${taken.dtype}, the first of ${DTYPES.join(', ')} (what a CPU decodes fastest) among ${has}`
      : `dtype ${taken.dtype}, as asked`;
  return { taken: taken.file, dtype: taken.dtype, why };
}

/** `model.onnx_data`, `model.onnx_data_1`, …, `model.onnx.data`: how exporters name the data beside a graph. */
function externalData({ files }: Repository, { path }: RepositoryFile): RepositoryFile[] {
  return files.filter(
    (file) => file.path.startsWith(path) && /^(?:_data|\.data)(?:_\d{1,4})?$/.test(file.path.slice(path.length)),
  );
}

/** What a person can do with a repository that has no weights where they are looked for. */
function others({ files }: Repository): string {
  const names = files.flatMap(({ path }) => (path.endsWith('.onnx') ? [path] : []));
  if (names.length === 0) return 'it has no .onnx file at all: look for an ONNX export of the model';
  return `its .onnx files are ${names.slice(0, 8).join(', ')}${names.length > 8 ? `, and ${names.length - 8} more` : ''}`;
}
