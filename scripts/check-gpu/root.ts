/**
 * The folder of this repository. The bundles of several scripts contain these modules, at different depths of
 * build/: the folder is the nearest one above with a lock file.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

function rootAbove(folder: string): string {
  if (existsSync(join(folder, 'package-lock.json'))) return folder;
  const above = dirname(folder);
  if (above === folder) throw new Error(`${fileURLToPath(import.meta.url)} is not inside of the repository`);
  return rootAbove(above);
}

export const ROOT = rootAbove(dirname(fileURLToPath(import.meta.url)));
