/**
 * Which folder a model is taken from: the one that is named, what was pulled from the hub under that name, or the embedded one.
 */
import { existsSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Config } from '../config/config.ts';
import { hubCache } from '../config/hub-settings.ts';
import { EMBEDDED_MODEL } from '../config/paths.ts';
import { cachedSnapshot, nameFromCache } from './hub/cache.ts';
import { type HubReference, nameOf, nameWithoutRevision, parseReference } from './hub/reference.ts';

/**
 * The folder the settings name, else the embedded model's. What is there by its path wins; else `org/name[/folder][@revision]` is what was pulled.
 * @throws Error when it is neither there nor in the hub's cache.
 */
export function modelFolder({ model }: Pick<Config, 'model'>, cache = hubCache()): string {
  const reference = hubReference(model);
  if (reference === undefined) return model ?? embeddedModel();
  const folder = cachedSnapshot(cache, reference);
  if (folder !== undefined) return folder;
  const name = nameOf(reference);
  throw new Error(`${name} is no folder, and is not in the cache: run rbees-workerd pull ${name}`);
}

/** What the model is called: `org/name[/folder]` of a model from the hub, however it was named; else its folder's base name. */
export function modelName({ model }: Pick<Config, 'model'>): string {
  const folder = model ?? embeddedModel();
  const reference = hubReference(model);
  return reference ? nameWithoutRevision(reference) : (nameFromCache(folder) ?? basename(resolve(folder)));
}

/** Folder of the model that comes with the package, from src/ and from dist/. */
export function embeddedModel(): string {
  return fileURLToPath(EMBEDDED_MODEL);
}

function hubReference(model: string | undefined): HubReference | undefined {
  return model === undefined || existsSync(model) ? undefined : parseReference(model);
}
