/** A device with other options of its execution provider, for measurements. */
import type { Device } from './device.ts';

/** Beginnings of names that the runtime reads from the configuration of the session. */
const OF_SESSION = /^(?:ep|session)\./;

/**
 * A device whose sessions get these options in place of those of `device`.
 * @param options values by name; names that begin with `ep.` or `session.` are entries of the
 *   configuration of the session, the others are options of the execution provider.
 */
export function withOptions(device: Device, options: Readonly<Record<string, string>> = {}): Device {
  const entries = Object.entries(options);
  if (entries.length === 0) return device;
  const ofProvider = Object.fromEntries(entries.filter(([name]) => !OF_SESSION.test(name)));
  return {
    ...device,
    appendProvider: (api, sessionOptions, use) => {
      for (const [name, value] of entries) {
        if (OF_SESSION.test(name)) api.addSessionConfigEntry(sessionOptions, name, value);
      }
      device.appendProvider(api, sessionOptions, { ...use, options: ofProvider });
    },
  };
}
