/** Finds the GGUF models of a folder by the names of the files. */
import { readdir } from 'node:fs/promises';
import { namesOf } from './read-gguf.ts';

/** The projection of images of a model, which has a file of its own. */
const PROJECTOR = /^mmproj|mmproj\.gguf$|-mmproj-/i;
const GGUF = /\.gguf$/i;

/** True for the path of a GGUF file. */
export const isGgufName = (path: string): boolean => GGUF.test(path);

/**
 * The first file of each GGUF model that is directly in a folder, sorted. A part without its first part
 * stands for its model.
 */
export async function ggufModelsIn(root: string): Promise<string[]> {
  const names = await readdir(root).catch((): string[] => []);
  const models = new Map<string, string>();
  for (const name of names.filter((one) => isGgufName(one) && !PROJECTOR.test(one)).sort()) {
    const { files } = namesOf(name);
    const [first = name] = files;
    if (!models.has(first)) models.set(first, name);
  }
  return [...models.values()];
}
