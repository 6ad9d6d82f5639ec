/**
 * Finds the path and the name of the model that the settings select: a path, a model in the hub cache, or the
 * embedded model.
 */
import { existsSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Config } from '../config/config.ts';
import { hubCache } from '../config/network/hub-settings.ts';
import { EMBEDDED_MODEL } from '../config/paths.ts';
import { ggufModelName } from './checkpoint/gguf/gguf-names.ts';
import { cachedSnapshot, nameFromCache } from './hub/cache.ts';
import { cachedGguf } from './hub/gguf/cached-gguf.ts';
import { type HubReference, nameOf, nameWithoutRevision, parseReference } from './hub/reference.ts';

/**
 * Path of the model in the settings: its folder, or its GGUF file; without a setting, the folder of the
 * embedded model. An existing path takes precedence; otherwise the name is looked up in the hub cache:
 * `org/name[/folder]`, or for GGUF `org/name:Q4_K_M` or `org/name/file.gguf`, each with `@revision`.
 * @throws Error if there is neither a path nor a cached model of this name.
 */
export function modelFolder({ model }: Pick<Config, 'model'>, cache = hubCache()): string {
  const reference = hubReference(model);
  if (reference === undefined) return model ?? embeddedModel();
  const folder = cachedSnapshot(cache, reference);
  if (folder !== undefined) return cachedGguf(folder, reference) ?? folder;
  const name = nameOf(reference);
  const kind = reference.file === undefined ? 'folder' : 'file';
  throw new Error(`${name} is neither a ${kind} nor in the hub cache: run rbees-workerd pull ${name}`);
}

/**
 * Name of the model: `org/name[/folder]`, `org/name:Q4_K_M` or `org/name/file` for a model in the hub cache,
 * even if the setting is a path; otherwise the base name of its path. The name of a GGUF file has no
 * `.gguf` and no number of a part.
 */
export function modelName({ model }: Pick<Config, 'model'>): string {
  const folder = model ?? embeddedModel();
  const reference = hubReference(model);
  const name = reference ? nameWithoutRevision(reference) : (nameFromCache(folder) ?? basename(resolve(folder)));
  return ggufModelName(name);
}

/** Folder of the model that ships with the package. Works from src/ and from dist/. */
export function embeddedModel(): string {
  return fileURLToPath(EMBEDDED_MODEL);
}

function hubReference(model: string | undefined): HubReference | undefined {
  return model === undefined || existsSync(model) ? undefined : parseReference(model);
}
