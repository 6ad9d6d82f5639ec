/**
 * The table of settings as text: for `--help` and for `.env.example`.
 */
import type { z } from 'zod';
import { environmentName, SETTINGS, type Setting } from './settings.ts';

const shownDefault = ({ shown, fallback }: Setting<z.ZodType>): string => shown ?? String(fallback);

/** The list of settings in `--help`. */
export function settingsHelp(): string {
  return (Object.entries(SETTINGS) as [string, Setting<z.ZodType>][])
    .map(
      ([name, row]) =>
        `  --${name}\n      ${row.meaning}\n      ${row.allowed}; default: ${shownDefault(row)}; ${environmentName(name)}`,
    )
    .join('\n');
}

/** The text of `.env.example`: all settings, commented out, with their defaults. */
export function envExample(): string {
  const rows = (Object.entries(SETTINGS) as [string, Setting<z.ZodType>][]).map(([name, row]) => {
    const value = row.fallback === undefined ? '' : String(row.fallback);
    return `# ${row.meaning} (${row.allowed}; default: ${shownDefault(row)})\n#${environmentName(name)}=${value}`;
  });
  return `# Settings of rbees-workerd. Order of precedence: flag, environment variable, this file, default.\n\n${rows.join('\n\n')}\n`;
}
