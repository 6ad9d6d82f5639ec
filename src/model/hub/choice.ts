/**
 * Chooses the files of a repository that a model needs: configuration, tokenizer, and the weights of one
 * dtype with their external data, or the files of a checkpoint. Decides by file names alone; downloads
 * nothing.
 */
import type { DeviceName } from '../../protocol/devices.ts';
import { dtypeOfType, INDEX_FILE, SINGLE_FILE } from '../checkpoint/shards.ts';
import {
  CHECKPOINT_DTYPES,
  type CheckpointDtype,
  chooseDtype,
  type DtypeChoice,
  dtypeNamed,
  type FormatChoice,
  ONNX_DTYPES,
  type OnnxDtype,
  QUANTIZED_AT_LOAD,
  runsCheckpoints,
  SUFFIXES,
} from '../dtypes.ts';
import { MAX_TEMPLATES } from '../template-source.ts';
import { chooseGgufFiles, hasGguf, requestsGguf } from './gguf/choose-files.ts';
import { ggufSets } from './gguf/file-sets.ts';
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

/** The selection on the command line, and the weights that files of the repository name. */
export interface Selection {
  readonly dtype: DtypeChoice;
  /** `auto`: .onnx files, the checkpoint where none suits, and a GGUF model without both. */
  readonly format: FormatChoice;
  /** Device for which `auto` chooses: `cpu`, `cuda-0`, `webgpu`, `coreml`. */
  readonly device: DeviceName;
  /** Weight file that genai_config.json names, relative to its folder. */
  readonly decoder?: string | undefined;
  /** Files that the index of a checkpoint names, relative to the folder of the model. */
  readonly shards?: readonly string[] | undefined;
}

/** Files to pull, weights last, and the reason for the dtype. */
export interface Choice {
  readonly files: readonly RepositoryFile[];
  /** Dtype of the weights; `auto` if only the graph or the header states it. */
  readonly dtype: DtypeChoice;
  readonly format: Exclude<FormatChoice, 'auto'>;
  /** Reason for the choice, shown to the user. */
  readonly why: string;
  /** Path of a GGUF file in the repository: the first one of a split set. Absent for a folder. */
  readonly modelFile?: string | undefined;
}

/** Files by their path from the model's folder. */
type Files = ReadonlyMap<string, RepositoryFile>;

interface Picked extends Omit<Choice, 'files'> {
  /**
   * Paths from the model's folder: the graph, then its known external data; or the index or only file of a
   * checkpoint, then its shards.
   */
  readonly paths: readonly [string, ...string[]];
}

/**
 * Chooses the files to pull. The weight file that genai_config.json names takes precedence, unless the user
 * requests a dtype and a file of that dtype exists. The name of the configured file does not state its dtype
 * and its external data; only its graph does. A checkpoint is pulled only where no .onnx file suits, or by
 * `--format`: a worker chooses in the same way. A GGUF file is pulled by its tag or name, by `--format`, and
 * if the repository has no other weights.
 * @throws PullError if the repository lacks the dtype (lists the dtypes it has), or a file that every model
 *   needs.
 */
export function chooseFiles(repository: Repository, selection: Selection): Choice {
  const byPath = filesByPath(repository);
  if (isGguf(repository, byPath, selection)) return chooseGgufFiles(repository, byPath, selection);
  const { paths, dtype, format, why } = pickWeights(repository, byPath, selection);
  const needed = format === 'onnx' ? paths.slice(0, 1) : paths;
  const missing = ['tokenizer.json', ...needed].filter((path) => !byPath.has(path)).slice(0, MAX_LISTED);
  if (!byPath.has('config.json') && (format !== 'onnx' || !byPath.has(GENAI))) missing.unshift('config.json');
  if (missing.length > 0)
    throw new PullError(`${nameOf(repository.reference)} has no ${missing.join(', no ')}: the worker cannot load it.`);
  const templates = [...byPath.keys()].filter((path) => MORE_TEMPLATES.test(path)).slice(0, MAX_TEMPLATES);
  const files = [...METADATA_FILES, ...templates, ...paths].flatMap((path) => byPath.get(path) ?? []);
  return { files, dtype, format, why };
}

/**
 * The file genai_config.json, which must be read before files can be chosen. Undefined if the repository has
 * none.
 */
export function genaiConfigOf(repository: Repository): RepositoryFile | undefined {
  return filesByPath(repository).get(GENAI);
}

/**
 * The index of the checkpoint, which must be read before files can be chosen. Undefined if the choice is
 * another one, or a checkpoint without shards.
 */
export function checkpointIndexOf(repository: Repository, selection: Selection): RepositoryFile | undefined {
  const byPath = filesByPath(repository);
  if (isGguf(repository, byPath, selection)) return undefined;
  const picked = pickOnnx(byPath, selection) ?? pickCheckpoint(repository, { ...selection, shards: [] });
  return picked?.paths[0] === INDEX_FILE ? byPath.get(INDEX_FILE) : undefined;
}

function filesByPath({ files, reference: { folder } }: Repository): Files {
  const start = folder === '' ? '' : `${folder}/`;
  return new Map(
    files.flatMap((file) => (file.path.startsWith(start) ? [[file.path.slice(start.length), file] as const] : [])),
  );
}

/** True if the choice is a GGUF file. */
function isGguf(repository: Repository, byPath: Files, selection: Selection): boolean {
  if (requestsGguf(repository, selection)) return true;
  const isOther = byPath.has(GENAI) || checkpointIn(byPath) !== undefined || foundWeights(byPath, undefined).size > 0;
  return selection.format === 'auto' && !isOther && hasGguf(byPath);
}

function pickWeights(repository: Repository, byPath: Files, selection: Selection): Picked {
  const picked = pickOnnx(byPath, selection) ?? pickCheckpoint(repository, selection);
  if (picked !== undefined) return picked;
  const { dtype, format, device, decoder } = selection;
  const names: Readonly<Record<FormatChoice, string>> = {
    gguf: 'no *.gguf',
    onnx: 'no onnx/model*.onnx and no model*.onnx',
    safetensors: `no ${SINGLE_FILE} and no ${INDEX_FILE}`,
    auto: `no onnx/model*.onnx, no model*.onnx and no ${SINGLE_FILE}`,
  };
  const lack = dtype === 'auto' ? names[format] : `no weights of dtype ${dtype}`;
  const found: string[] = format === 'safetensors' ? [] : [...foundWeights(byPath, decoder).keys()];
  const checkpoint = format === 'onnx' ? undefined : checkpointIn(byPath);
  if (checkpoint) found.push(`${checkpoint} (${checkpointText(repository, device)})`);
  const other = format === 'onnx' ? checkpointIn(byPath) : undefined;
  const alternatives = other ? `it has ${other}: use --format safetensors` : alternativesIn(repository);
  const has = found.length === 0 ? alternatives : `it has ${found.join(', ')}`;
  throw new PullError(`${nameOf(repository.reference)} has ${lack}; ${has}.`);
}

/** Undefined if no .onnx file suits the selection. */
function pickOnnx(byPath: Files, { dtype: requested, format, device, decoder }: Selection): Picked | undefined {
  if (format === 'safetensors') return undefined;
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
    return { paths: [path, ...externalData(byPath, path)], dtype, format: 'onnx', why };
  }
  if (decoder === undefined) return undefined;
  return { paths: [decoder], dtype: requested, format: 'onnx', why: `weights ${decoder}, which ${GENAI} names` };
}

/** Undefined if the repository has no checkpoint, or if the device or the dtype excludes it. */
function pickCheckpoint(repository: Repository, selection: Selection): Picked | undefined {
  const { dtype, format, device, shards = [] } = selection;
  const file = checkpointIn(filesByPath(repository));
  const dtypes = checkpointDtypes(repository);
  const quantize = QUANTIZED_AT_LOAD.find((one) => dtype !== 'auto' && one === dtypeNamed(dtype));
  const isDtype = dtypes.length > 0 && (dtype === 'auto' || quantize || dtypes.some((one) => one === dtype));
  if (file === undefined || format === 'onnx' || !isDtype || !runsCheckpoints(device)) return undefined;
  const of = dtypes.length === 1 ? ` of dtype ${dtypes[0]}` : '';
  const quantized = quantize === undefined ? '' : `, for ${quantize}`;
  const why = `the checkpoint${of}${quantized}${format === 'auto' ? ': no .onnx file suits' : ', as requested'}`;
  return { paths: [file, ...(file === INDEX_FILE ? shards : [])], dtype, format: 'safetensors', why };
}

/** The dtypes that the checkpoint can have. The hub states the type of a checkpoint at the root only. */
function checkpointDtypes({ checkpointType, reference }: Repository): readonly CheckpointDtype[] {
  if (checkpointType === undefined || reference.folder !== '') return CHECKPOINT_DTYPES;
  const dtype = dtypeOfType(checkpointType);
  return dtype === undefined ? [] : [dtype];
}

function checkpointText(repository: Repository, device: DeviceName): string {
  const dtypes = checkpointDtypes(repository);
  if (dtypes.length === 0) return `weights of type ${repository.checkpointType}, which no worker runs`;
  return `dtype ${[...dtypes, ...QUANTIZED_AT_LOAD].join(', ')}${runsCheckpoints(device) ? '' : ', on another device'}`;
}

const checkpointIn = (byPath: Files): string | undefined => [SINGLE_FILE, INDEX_FILE].find((file) => byPath.has(file));

/**
 * Weights under the names that weights.ts looks for. Excludes GenAI's decoder, because it is called
 * model.onnx for every dtype.
 */
function foundWeights(byPath: Files, decoder: string | undefined): ReadonlyMap<OnnxDtype, string> {
  const found = new Map<OnnxDtype, string>();
  for (const dtype of ONNX_DTYPES) {
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
  if (names.length === 0 && ggufSets(files.map(({ path }) => path)).length > 0)
    return 'it has GGUF files: use --format gguf, or the tag of a file as in org/name:Q4_K_M';
  if (names.length === 0) return 'choose a repository of a model in ONNX, safetensors or GGUF';
  return `its .onnx files are ${listed(names)}`;
}

function listed(names: readonly string[]): string {
  const more = names.length - MAX_LISTED;
  return `${names.slice(0, MAX_LISTED).join(', ')}${more > 0 ? `, and ${more} more` : ''}`;
}
