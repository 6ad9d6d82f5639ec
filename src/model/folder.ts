/**
 * Finds the folder or the GGUF file, and the name of the model that the settings select: a path, a model in the hub cache, or
 * the embedded model.
 */
import { existsSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Config } from '../config/config.ts';
import { hubCache } from '../config/network/hub-settings.ts';
import { EMBEDDED_MODEL } from '../config/paths.ts';
import { ggufModelName } from './checkpoint/gguf/gguf-names.ts';
import { cachedSnapshot, nameFromCache } from './hub/cache.ts';
import { type HubReference, nameOf, nameWithoutRevision, parseReference } from './hub/reference.ts';

/**
 * Folder or GGUF file of the model in the settings; without a setting, the folder of the embedded model. An existing path
 * takes precedence; otherwise the name `org/name[/folder][@revision]` is looked up in the hub cache.
 * @throws Error if there is neither a folder nor a cached model of this name.
 */
export function modelFolder({ model }: Pick<Config, 'model'>, cache = hubCache()): string {
  const reference = hubReference(model);
  if (reference === undefined) return model ?? embeddedModel();
  const folder = cachedSnapshot(cache, reference);
  if (folder !== undefined) return folder;
  const name = nameOf(reference);
  throw new Error(`${name} is neither a folder nor in the hub cache: run rbees-workerd pull ${name}`);
}

/**
 * Name of the model: `org/name[/folder]` for a model in the hub cache, even if the setting is a path;
 * otherwise the base name of its folder or of its GGUF file.
 */
export function modelName({ model }: Pick<Config, 'model'>): string {
  const folder = model ?? embeddedModel();
  const reference = hubReference(model);
  return reference ? nameWithoutRevision(reference) : ggufModelName(nameFromCache(folder) ?? basename(resolve(folder)));
}

/** Folder of the model that ships with the package. Works from src/ and from dist/. */
export function embeddedModel(): string {
  return fileURLToPath(EMBEDDED_MODEL);
}

function hubReference(model: string | undefined): HubReference | undefined {
  return model === undefined || existsSync(model) ? undefined : parseReference(model);
}
