/**
 * The folder of saved weights: weights in the order of the runtime's matrix products, which all workers of a
 * machine map (docs/decisions/0037-one-copy-of-the-weights.md). One folder for each model, named by its key.
 * The engine makes it, the command `models` lists and removes it.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Exactness } from '../decoder/conversion.ts';

/** Raised when the files of a folder change their form. */
export const WEIGHTS_LAYOUT = 1;
/** Names inside of the folder of a key. */
export const SAVED = {
  manifest: 'manifest.json',
  graph: 'graph.onnx',
  weights: 'weights.bin',
  logits: 'logits.bin',
  /** One byte for each engine that has begun to open the weights before one has succeeded. */
  attempts: 'attempts',
  /** Present after an engine has computed the right logits. */
  proven: 'proven',
};
/** End of the name of the lock beside the folder of a key. A process that saves weights holds it. */
export const LOCK_SUFFIX = '.lock';
/** A manifest with more bytes is not read. */
const MAX_MANIFEST_BYTES = 2 ** 20;

/** A weight file of the model, as it was when the weights were saved. */
export interface SourceFile {
  /** With links resolved. */
  readonly path: string;
  readonly bytes: number;
  readonly modifiedMs: number;
  readonly inode: number;
}

/** The content of a folder; written last, so that a folder without it is not complete. Sizes in bytes. */
export interface WeightsManifest {
  readonly layout: number;
  /** Version of the runtime. */
  readonly runtime: string;
  /** Name of the processor, for people; the key contains its features. */
  readonly processor: string;
  readonly sources: readonly SourceFile[];
  /** Tokens in a row, for which the graph has rotary tables: each context has weights of its own. */
  readonly context: number;
  /** Why the weights of this key are not used; the folder then has no other file. */
  readonly unusable?: string;
  /** Present if the weights are usable. */
  readonly saved?: SavedWeights;
  /** Present for weights that were converted into the form of a graph; the folder has no graph then. */
  readonly converted?: ConvertedContent;
}

/** Converted weights. They do not depend on the device, the processor, the runtime and the context. */
export interface ConvertedContent {
  /**
   * The dtype of quantized floats, or `blocks`: one form replaces an older one of the same name.
   */
  readonly form: string;
  readonly fileBytes: number;
  /** Time of the last change of the file: the samples miss most changes in its content. */
  readonly modifiedMs: number;
  readonly weights: readonly Exactness[];
  /** SHA-256 of samples of the file. */
  readonly digest: string;
}

export interface SavedWeights {
  /** Size of the file with the weights. It can have holes. */
  readonly fileBytes: number;
  /** The parts of the file without the holes, in order: offset and length. */
  readonly parts: readonly (readonly [offset: number, bytes: number])[];
  /** The bytes that runs read, of this file and of the sources. */
  readonly mappedBytes: number;
  /** The largest matrix, which the runtime packs again in memory of its own while it opens the model. */
  readonly openingBytes: number;
  /** Paths of the sources from which the graph reads weights. */
  readonly mappedSources: readonly string[];
  /** SHA-256 of the graph, of samples of the weights, and of the logits. */
  readonly digest: string;
}

/** The manifest in a folder; undefined for a folder without one, and for one of another layout. */
export function readManifest(folder: string): WeightsManifest | undefined {
  try {
    const path = join(folder, SAVED.manifest);
    if (statSync(path).size > MAX_MANIFEST_BYTES) return undefined;
    const found = JSON.parse(readFileSync(path, 'utf8')) as WeightsManifest;
    return found.layout === WEIGHTS_LAYOUT && isManifest(found) ? found : undefined;
  } catch {
    return undefined;
  }
}

function isManifest({ runtime, processor, sources, context, unusable, saved, converted }: WeightsManifest): boolean {
  const digests = [saved, converted].map((one) => one?.digest ?? '');
  const texts = [
    runtime,
    processor,
    unusable ?? '',
    ...digests,
    ...(saved?.mappedSources ?? []),
    converted?.form ?? '',
    ...(converted?.weights ?? []).map(({ from }) => from),
  ];
  const sizes = [
    ...(saved ? [saved.fileBytes, saved.mappedBytes, saved.openingBytes, ...saved.parts.flat()] : []),
    ...(converted
      ? [converted.fileBytes, converted.modifiedMs, ...converted.weights.map(({ difference }) => difference)]
      : []),
  ];
  return (
    texts.every((text) => typeof text === 'string') &&
    [context, ...sizes, ...sources.flatMap(({ bytes, modifiedMs, inode }) => [bytes, modifiedMs, inode])].every(
      Number.isFinite,
    ) &&
    sources.every(({ path }) => typeof path === 'string') &&
    [unusable, saved, converted].filter((content) => content !== undefined).length === 1
  );
}

/** The file as it is now; undefined if it is gone or not a regular file. */
export function sourceFile(path: string): SourceFile | undefined {
  try {
    const { size, mtimeMs, ino } = statSync(path);
    return { path, bytes: size, modifiedMs: mtimeMs, inode: ino };
  } catch {
    return undefined;
  }
}

/** The files that exist, as they are now. */
export const sourceFiles = (paths: readonly string[]): SourceFile[] =>
  paths.map(sourceFile).filter((file): file is SourceFile => file !== undefined);

/**
 * True if size and time of the file are the same. Other than `isUnchanged`, does not compare the number of
 * the file: some network disks give a file another number.
 */
export function hasSameContent(source: SourceFile): boolean {
  const now = sourceFile(source.path);
  return now?.bytes === source.bytes && now.modifiedMs === source.modifiedMs;
}

/** True if the file has not changed since. */
export function isUnchanged(source: SourceFile): boolean {
  const now = sourceFile(source.path);
  return now?.bytes === source.bytes && now.modifiedMs === source.modifiedMs && now.inode === source.inode;
}

/** Names in the folder of saved weights; none if it cannot be read. */
export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
