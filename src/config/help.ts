/**
 * The table of settings as text: for `--help` and for `.env.example`.
 */
import type { z } from 'zod';
import type { Setting } from './setting-kinds.ts';
import { environmentName, SETTINGS } from './settings.ts';
import { ENV_FILE } from './settings-file.ts';

const shownDefault = ({ shown, fallback }: Setting<z.ZodType>): string => shown ?? String(fallback);

/** The bound of a setting in `.env` of the working directory. Empty if there is none. */
function folderRule({ fromFolder }: Setting<z.ZodType>): string {
  if (fromFolder === undefined) return '';
  return fromFolder.length === 0 ? '; not from .env' : `; from .env only ${fromFolder.join(', ')}`;
}

/** The list of settings in `--help`. */
export function settingsHelp(): string {
  const { name, variable, meaning, allowed, shown } = ENV_FILE;
  const file = `  --${name}\n      ${meaning}\n      ${allowed}; default: ${shown}; ${variable}`;
  const rows = (Object.entries(SETTINGS) as [string, Setting<z.ZodType>][]).map(
    ([setting, row]) =>
      `  --${setting}\n      ${row.meaning}\n      ${row.allowed}; default: ${shownDefault(row)}; ${environmentName(setting)}${folderRule(row)}`,
  );
  return [file, ...rows].join('\n');
}

const EXAMPLE_HEAD = `# Settings of rbees-workerd. Order of precedence: flag, environment variable, this file, default.
#
# "serve" reads the file .env of its working directory. From that file it takes no setting that loads code, opens the
# worker to others or hides log lines: such a setting below says "not from .env" or "from .env only". The log line
# settings.ignored names the settings that were not taken. --env-file <path> (or RBEES_ENV_FILE in the environment)
# names a file that may set everything, --env-file none reads no file. "ask", "doctor" and "pull" read no file without
# --env-file.`;

/** The text of `.env.example`: all settings, commented out, with their defaults. */
export function envExample(): string {
  const rows = (Object.entries(SETTINGS) as [string, Setting<z.ZodType>][]).map(([name, row]) => {
    const value = row.fallback === undefined ? '' : String(row.fallback);
    return `# ${row.meaning} (${row.allowed}; default: ${shownDefault(row)}${folderRule(row)})\n#${environmentName(name)}=${value}`;
  });
  return `${EXAMPLE_HEAD}\n\n${rows.join('\n\n')}\n`;
}
