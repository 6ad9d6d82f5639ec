/**
 * Chooses the files of a repository that a model needs: configuration, tokenizer, and the weights of one
 * dtype with their external data. Decides by file names alone; downloads nothing.
 */
import type { DeviceName } from '../../protocol/devices.ts';
import { chooseDtype, DTYPES, type Dtype, type DtypeChoice, SUFFIXES } from '../dtypes.ts';
import { MAX_TEMPLATES } from '../template-source.ts';
import { PullError } from './pull-error.ts';
import { nameOf } from './reference.ts';
import type { Repository, RepositoryFile } from './repository.ts';

const GENAI = 'genai_config.json';
/** Files to pull besides the weights, if the repository has them. */
export const METADATA_FILES = [
  'config.json',
  'generation_config.json',
  GENAI,
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'chat_template.jinja',
  'chat_template.json',
] as const;
/** Further chat templates, as transformers 4.52 and later write them. */
const MORE_TEMPLATES = /^additional_chat_templates\/[^/]+\.jinja$/;
/** Maximum number of names that an error lists. */
const MAX_LISTED = 8;

/** The selection on the command line, and the decoder of the repository. */
export interface Selection {
  readonly dtype: DtypeChoice;
  /** Device for which `auto` chooses: `cpu`, `cuda-0`, `webgpu`, `coreml`. */
  readonly device: DeviceName;
  /** Weight file that genai_config.json names, relative to its folder. */
  readonly decoder?: string | undefined;
}

/** Files to pull, weights last, and the reason for the dtype. */
export interface Choice {
  readonly files: readonly RepositoryFile[];
  /** Dtype of the weights; `auto` if only the graph states it. */
  readonly dtype: DtypeChoice;
  /** Reason for the choice, shown to the user. */
  readonly why: string;
}

/** Files by their path from the model's folder. */
type Files = ReadonlyMap<string, RepositoryFile>;

interface Picked extends Omit<Choice, 'files'> {
  /** Paths from the model's folder: the graph, then its known external data. */
  readonly paths: readonly [string, ...string[]];
}

/**
 * Chooses the files to pull. The weight file that genai_config.json names takes precedence, unless the user
 * requests a dtype and a file of that dtype exists. The name of the configured file does not state its dtype
 * and its external data; only its graph does.
 * @throws PullError if the repository lacks the dtype (lists the dtypes it has), or a file that every model
 *   needs.
 */
export function chooseFiles(repository: Repository, selection: Selection): Choice {
  const byPath = filesByPath(repository);
  const { paths, dtype, why } = pickWeights(repository, byPath, selection);
  const missing = ['tokenizer.json', paths[0]].filter((path) => !byPath.has(path));
  if (!byPath.has('config.json') && !byPath.has(GENAI)) missing.unshift('config.json');
  if (missing.length > 0)
    throw new PullError(`${nameOf(repository.reference)} has no ${missing.join(', no ')}: the worker cannot load it.`);
  const templates = [...byPath.keys()].filter((path) => MORE_TEMPLATES.test(path)).slice(0, MAX_TEMPLATES);
  return { files: [...METADATA_FILES, ...templates, ...paths].flatMap((path) => byPath.get(path) ?? []), dtype, why };
}

/**
 * The file genai_config.json, which must be read before files can be chosen. Undefined if the repository has
 * none.
 */
export function genaiConfigOf(repository: Repository): RepositoryFile | undefined {
  return filesByPath(repository).get(GENAI);
}

function filesByPath({ files, reference: { folder } }: Repository): Files {
  const start = folder === '' ? '' : `${folder}/`;
  return new Map(
    files.flatMap((file) => (file.path.startsWith(start) ? [[file.path.slice(start.length), file] as const] : [])),
  );
}

function pickWeights(repository: Repository, byPath: Files, { dtype: requested, device, decoder }: Selection): Picked {
  const found = foundWeights(byPath, decoder);
  const chosen = chooseDtype(device, requested, new Set(found.keys()));
  const path = chosen && found.get(chosen.dtype);
  const preferred = decoder !== undefined && byPath.has(decoder) && requested === 'auto';
  if (chosen !== undefined && path !== undefined && !preferred) {
    const { dtype, reason } = chosen;
    const why =
      requested === 'auto'
        ? `dtype ${dtype} of ${[...found.keys()].join(', ')}, for ${device}: ${reason}`
        : `dtype ${dtype}, as requested`;
    return { paths: [path, ...externalData(byPath, path)], dtype, why };
  }
  if (decoder !== undefined)
    return { paths: [decoder], dtype: requested, why: `weights ${decoder}, which ${GENAI} names` };
  const lack = requested === 'auto' ? 'no onnx/model*.onnx and no model*.onnx' : `no weights of dtype ${requested}`;
  const has = found.size === 0 ? alternativesIn(repository) : `it has ${[...found.keys()].join(', ')}`;
  throw new PullError(`${nameOf(repository.reference)} has ${lack}; ${has}.`);
}

/**
 * Weights under the names that weights.ts looks for. Excludes GenAI's decoder, because it is called
 * model.onnx for every dtype.
 */
function foundWeights(byPath: Files, decoder: string | undefined): ReadonlyMap<Dtype, string> {
  const found = new Map<Dtype, string>();
  for (const dtype of DTYPES) {
    const names = [`onnx/model${SUFFIXES[dtype]}.onnx`, `model${SUFFIXES[dtype]}.onnx`];
    const path = names.find((name) => name !== decoder && byPath.has(name));
    if (path !== undefined) found.set(dtype, path);
  }
  return found;
}

/**
 * Names that exporters give the external data of a graph: `model.onnx_data`, `model.onnx_data_1`, …,
 * `model.onnx.data`.
 */
function externalData(byPath: Files, graph: string): string[] {
  return [...byPath.keys()].filter(
    (path) => path.startsWith(graph) && /^(?:_data|\.data)(?:_\d{1,4})?$/.test(path.slice(graph.length)),
  );
}

/** Suggests an alternative if a repository has no weights at the expected paths. */
function alternativesIn({ files, reference }: Repository): string {
  const ending = `/${GENAI}`;
  const folders = files.flatMap(({ path }) => (path.endsWith(ending) ? [path.slice(0, -ending.length)] : []));
  if (folders.length > 0)
    return `it has models in folders: pull one of ${listed(folders.map((folder) => nameOf({ ...reference, folder })))}`;
  const names = files.flatMap(({ path }) => (path.endsWith('.onnx') ? [path] : []));
  if (names.length === 0) return 'it has no .onnx file: choose a repository with an ONNX export of the model';
  return `its .onnx files are ${listed(names)}`;
}

function listed(names: readonly string[]): string {
  const more = names.length - MAX_LISTED;
  return `${names.slice(0, MAX_LISTED).join(', ')}${more > 0 ? `, and ${more} more` : ''}`;
}
