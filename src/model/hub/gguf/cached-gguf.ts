/** Finds the GGUF file of a reference in a snapshot of the hub cache. Reads names only. */
import { readdirSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import type { FormatChoice } from '../../dtypes.ts';
import { type HubReference, nameOf, nameWithoutRevision, selectsGguf } from '../reference.ts';
import { chooseGguf, ggufSets, NoGguf } from './file-sets.ts';

/** A folder with one of these files is a model itself. */
const OTHER_WEIGHTS = /(?:\.onnx|\.safetensors|(?:^|\/)genai_config\.json)$/i;

/**
 * The GGUF file that a reference selects: by its tag or name, by the format, or because the folder has no
 * other weights. For a split set, its first file.
 * @param folder the folder of the reference in a snapshot
 * @returns undefined if the model is the folder
 * @throws Error with the tags and files that the cache has
 */
export function cachedGguf(folder: string, reference: HubReference, format: FormatChoice = 'auto'): string | undefined {
  const paths = filesIn(folder);
  const sets = ggufSets(paths);
  const isRequested = selectsGguf(reference) || format === 'gguf';
  const isOnly = format === 'auto' && sets.length > 0 && !paths.some((path) => OTHER_WEIGHTS.test(path));
  if (!isRequested && !isOnly) return undefined;
  try {
    return join(folder, ...chooseGguf(sets, reference).paths[0].split('/'));
  } catch (error) {
    if (!(error instanceof NoGguf)) throw error;
    const { tag: _tag, file: _file, ...place } = reference;
    const wayOut = selectsGguf(reference) ? `. To download it, run rbees-workerd pull ${nameOf(reference)}` : '';
    throw new Error(`In the hub cache, ${nameWithoutRevision(place)} ${error.message}${wayOut}`);
  }
}

/** Paths of the files and links below a folder, with `/`. Links are not followed. */
const filesIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'));
