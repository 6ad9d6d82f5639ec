/**
 * The narrations about the settings of a worker that starts, and about the limits of the system: the values
 * that the worker does not use, and why.
 */

import type { Settings } from '../../config/config.ts';
import { addressSpaceLimit } from '../../config/host/address-space.ts';
import { RESERVED_FILES } from '../../http/connections/open-files.ts';
import { narrate } from '../../narration/narrate.ts';

/** The number of connections that the worker accepts, and why. */
export interface ConnectionLimit {
  readonly connections: number;
  /** Maximum number of open file descriptors; undefined if it is not known. */
  readonly openFiles: number | undefined;
}

/**
 * Narrates a limited address space, and the settings that are not used as given.
 * @param exposure reason why other processes of the user can read a token; undefined if they cannot
 */
export function reportSettings(settings: Settings, exposure: string | undefined, limit: ConnectionLimit): void {
  const { file } = settings;
  const address_space_bytes = addressSpaceLimit();
  if (address_space_bytes !== undefined) narrate('address_space.limited', { address_space_bytes });
  if (file && file.ignored.length > 0)
    narrate('settings.ignored', { settings_file: file.path, settings: file.ignored.join(', ') });
  for (const { name, suggestion, file: settings_file } of settings.unknown.listed)
    narrate('settings.unknown', { setting: name, suggestion, settings_file, unknown_settings: settings.unknown.count });
  if (exposure !== undefined) narrate('secrets.exposed', { reason: exposure });
  reportConnections(settings.config.maxConnections, limit);
}

function reportConnections(asked: number, { connections, openFiles }: ConnectionLimit): void {
  if (connections === asked || openFiles === undefined) return;
  narrate('connections.limited', {
    connections_limit: connections,
    connections_asked: asked,
    files_limit: openFiles,
    files_needed: asked + RESERVED_FILES,
  });
}
