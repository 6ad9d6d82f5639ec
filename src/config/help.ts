/**
 * The settings as text: the list of `--help` and the file `.env.example`.
 */
import type { z } from 'zod';
import { environmentName, SETTINGS, type Setting } from './settings.ts';

/** The settings part of `--help`. */
export function settingsHelp(): string {
  return (Object.entries(SETTINGS) as [string, Setting<z.ZodType>][])
    .map(
      ([name, row]) =>
        `  --${name}\n      ${row.meaning}\n      ${row.allowed}; default: ${row.shown}; ${environmentName(name)}`,
    )
    .join('\n');
}

/** The text of `.env.example`: every setting, commented out, with its default. */
export function envExample(): string {
  const rows = (Object.entries(SETTINGS) as [string, Setting<z.ZodType>][]).map(([name, row]) => {
    const value = row.fallback === undefined ? '' : String(row.fallback);
    return `# ${row.meaning} (${row.allowed}; default: ${row.shown})\n#${environmentName(name)}=${value}`;
  });
  return `# Settings of rbees-workerd. A flag beats the environment, which beats this file, which beats the default.\n\n${rows.join('\n\n')}\n`;
}
