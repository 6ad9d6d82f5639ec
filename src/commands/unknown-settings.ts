/**
 * Reports variables that look like settings and are none to a person who types a command. `serve` narrates
 * them instead.
 */
import type { UnknownSettings } from '../config/unknown-settings.ts';
import { Terminal } from './terminal.ts';

/** Writes one line for each listed variable to stderr: the remedy, then the reason. */
export async function reportUnknown({ listed }: UnknownSettings): Promise<void> {
  for (const { name, suggestion, file } of listed) {
    const remedy = suggestion === undefined ? `Remove ${name}, or see --help` : `Rename ${name} to ${suggestion}`;
    const place = file === undefined ? 'in the environment' : `in ${file}`;
    await Terminal.stderr().print(`${remedy}: the variable ${place} is no setting\n`);
  }
}
