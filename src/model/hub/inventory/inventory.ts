/**
 * The models in the hub cache: one entry for each model folder and each GGUF model of each revision, also
 * for repositories in formats that no worker can run. A repository that cannot be read is an entry with a
 * problem.
 */
import { statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../../protocol/text/error-message.ts';
import { readDecoder } from '../../checkpoint/read-decoder.ts';
import { locateModel, type ModelFiles } from '../../locate.ts';
import { ModelError } from '../../problems.ts';
import { readCacheShape } from '../../spec/cache-shape.ts';
import { type GgufSet, ggufSets, selectorOf } from '../gguf/file-sets.ts';
import { type CachedRevision, type RepositoryFiles, readRepository } from './repository-files.ts';

/** Formats of weights, by the names of their files. */
const FORMATS = { onnx: /\.onnx$/i, safetensors: /\.safetensors$/i, gguf: /\.gguf$/i, pytorch: /\.(?:bin|pth?)$/i };
export type WeightFormat = keyof typeof FORMATS;

/** A model, or a repository without one. */
export interface CachedModel {
  /** `org/name[/folder][@revision]` or `org/name:Q4_K_M[@revision]`, as `--model` takes it. */
  readonly name: string;
  /** Folder of the model, or of the repository if it has no model. The first file of a GGUF model. */
  readonly folder: string;
  readonly commit?: string;
  readonly formats: readonly WeightFormat[];
  /** Quantization in the name of a GGUF model, such as `Q4_K_M`. */
  readonly tag?: string | undefined;
  /** Size of the files of a GGUF model: a repository has several. */
  readonly bytes?: number;
  /** The files, if a worker can run the model. */
  readonly files?: ModelFiles;
  /** Why a worker cannot run it. */
  readonly problem?: string;
  /** The sizes and times of its whole repository. */
  readonly repository?: Omit<RepositoryFiles, 'revisions'>;
}

/** Formats that a worker runs. */
const RUNNABLE: ReadonlySet<WeightFormat> = new Set(['onnx', 'safetensors', 'gguf']);
/** Context of a model that states none, to read its decoder. */
const LEAST_CONTEXT = 1;
const PREFIX = 'models--';
const GENAI = 'genai_config.json';

/**
 * Reads the cache. The entries are sorted by name. Empty if the folder is missing.
 * @throws errors of the file system for a cache that cannot be read
 */
export async function readInventory(cache: string): Promise<CachedModel[]> {
  const names = await readdir(cache).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const models: CachedModel[] = [];
  for (const name of names.filter((one) => one.startsWith(PREFIX)).sort()) {
    const repo = name.slice(PREFIX.length).split('--').join('/');
    models.push(...(await modelsOf(repo, join(cache, name))));
  }
  return models;
}

async function modelsOf(repo: string, folder: string): Promise<CachedModel[]> {
  try {
    const { revisions, ...repository } = await readRepository(folder);
    if (revisions.length === 0)
      return [{ name: repo, folder, formats: [], repository, problem: 'the download is not complete' }];
    const places = revisions.flatMap(placesOf);
    const models: CachedModel[] = [];
    // One after the other: the headers of one checkpoint can have 64 MiB.
    for (const place of places) models.push({ ...(await modelAt(repo, place)), repository });
    return models;
  } catch (error) {
    return [{ name: repo, folder, formats: [], problem: `cannot be read: ${messageOf(error)}` }];
  }
}

/** A folder of a revision, '' for its root, or a GGUF model. */
interface Place {
  readonly revision: CachedRevision;
  /** Path of the folder, or of the first file. */
  readonly path: string;
  readonly gguf?: GgufSet;
  /** The end of the name: `/folder`, `:Q4_K_M` or `/file.gguf`. */
  readonly selector: string;
}

/** Each GGUF model of a revision is a place, and each folder with other weights. */
function placesOf(revision: CachedRevision): Place[] {
  const sets = ggufSets(revision.paths);
  const models = sets.map((gguf) => ({ revision, path: gguf.paths[0], gguf, selector: selectorOf(gguf, sets) }));
  const folders = modelFolders(revision).map((path) => ({ revision, path, selector: path === '' ? '' : `/${path}` }));
  const isOther = formatsOf(revision.paths).some((format) => format !== 'gguf');
  return sets.length > 0 && !isOther ? models : [...folders, ...models];
}

/**
 * Repositories of ONNX Runtime GenAI have one model for each device, each in a folder with its configuration.
 */
function modelFolders({ paths }: CachedRevision): string[] {
  const ending = `/${GENAI}`;
  const folders = paths.filter((path) => path.endsWith(ending)).map((path) => path.slice(0, -ending.length));
  const hasModel = paths.some((path) => /^(?:onnx\/)?[^/]+$/.test(path) && formatsOf([path]).length > 0);
  return folders.length > 0 && !hasModel ? folders : ['', ...folders];
}

async function modelAt(repo: string, { revision, path, gguf, selector }: Place): Promise<CachedModel> {
  // A revision without a name is a commit, and the default revision is not written.
  const [revisionName = revision.commit] = revision.names;
  const name = `${repo}${selector}${revisionName === 'main' ? '' : `@${revisionName}`}`;
  const folder = join(revision.folder, path);
  const inFolder = revision.paths.filter((one) => path === '' || one.startsWith(`${path}/`));
  const formats = gguf ? (['gguf'] as const) : formatsOf(inFolder).filter((format) => format !== 'gguf');
  const files = gguf && { tag: gguf.tag, bytes: sizeOf(revision.folder, gguf.paths) };
  const model = { name, folder, commit: revision.commit, formats, ...files };
  if (gguf && gguf.paths.length < gguf.count)
    return { ...model, problem: `has ${gguf.paths.length} of ${gguf.count} files: pull it again` };
  try {
    const files = await locateModel(folder);
    const shape = await readCacheShape(files);
    await readDecoder(files, shape?.context ?? LEAST_CONTEXT);
    return { ...model, files };
  } catch (error) {
    return { ...model, problem: problemOf(error, formats) };
  }
}

/** Size of files behind links; a file that cannot be read has none. */
const sizeOf = (folder: string, paths: readonly string[]): number =>
  paths.reduce((sum, path) => sum + (statSync(join(folder, path), { throwIfNoEntry: false })?.size ?? 0), 0);

const formatsOf = (paths: readonly string[]): WeightFormat[] =>
  (Object.keys(FORMATS) as WeightFormat[]).filter((format) => paths.some((path) => FORMATS[format].test(path)));

/**
 * The problem in a few words: the list of all files that a model lacks does not help if no worker runs its
 * format.
 */
function problemOf(error: unknown, formats: readonly WeightFormat[]): string {
  if (formats.length === 0) return 'has no weights';
  if (!formats.some((format) => RUNNABLE.has(format)))
    return `${formats.join(' and ')}: no worker can run this format yet`;
  if (!(error instanceof ModelError)) return messageOf(error);
  return error.problems.map(({ file, problem }) => `${file} ${problem}`).join('; ');
}
