/**
 * The flags of the commands, from the texts and tables that already exist: the help of each command, and the
 * table of settings. Pure.
 */
import type { z } from 'zod';
import type { Setting } from '../../config/setting-rows.ts';
import { SETTINGS } from '../../config/settings.ts';
import { ENV_FILE } from '../../config/settings-file.ts';
import { DEVICES } from '../../protocol/devices.ts';

/** The value of a flag: one of some words, a path, a model, any text, or none. */
export type FlagValue = readonly string[] | 'file' | 'folder' | 'model' | 'text' | 'none';

export interface Flag {
  /** With its dashes: `--dtype`, `-c`. */
  readonly name: string;
  readonly value: FlagValue;
  /** One line; may be empty. */
  readonly meaning: string;
}

/** A command with all that a shell can complete. */
export interface CompletedCommand {
  readonly name: string;
  readonly summary: string;
  readonly flags: readonly Flag[];
  /** The words of the first argument. */
  readonly words: readonly string[];
}

/** Values of settings whose schema is no list of words. */
const KNOWN_VALUES: Readonly<Record<string, FlagValue>> = {
  model: 'model',
  device: ['auto', ...Object.keys(DEVICES)],
  'runtime-library': 'file',
  [ENV_FILE.name]: 'file',
};

/** The settings of a worker as flags. */
export function settingFlags(): Flag[] {
  const rows = Object.entries(SETTINGS) as [string, Setting<z.ZodType>][];
  return [
    { name: `--${ENV_FILE.name}`, value: 'file', meaning: ENV_FILE.meaning },
    ...rows.map(([name, row]) => ({ name: `--${name}`, value: settingValue(name, row), meaning: row.meaning })),
  ];
}

function settingValue(name: string, { schema, allowed, boolean }: Setting<z.ZodType>): FlagValue {
  const known = KNOWN_VALUES[name];
  if (known !== undefined) return known;
  if (boolean) return 'none';
  if (allowed === 'true or false') return ['true', 'false'];
  return 'options' in schema && Array.isArray(schema.options) && schema.options.every(isWord) ? schema.options : 'text';
}

const isWord = (option: unknown): option is string => typeof option === 'string';

/** `  --dtype <type>   data type …`, `  -c, --continue   …`, `  --host, --port   …`. */
const HELP_LINE = /^ {2}(--?[a-z][a-z-]*(?:, --?[a-z][a-z-]*)*)(?: (<[^>]+>|[\w|.:/…-]+))?(?: {2,}(.*))?$/;

/**
 * The flags in the help of a command. A flag with the name of a setting takes its values.
 * @param help the text of `--help-all`
 */
export function helpFlags(help: string): Flag[] {
  const settings = new Map(settingFlags().map((flag) => [flag.name, flag]));
  const flags = new Map<string, Flag>();
  for (const line of help.split('\n')) {
    const [, names, placeholder, meaning = ''] = HELP_LINE.exec(line) ?? [];
    for (const name of names?.split(', ') ?? []) {
      const value = settings.get(name)?.value ?? placeholderValue(placeholder);
      if (!flags.has(name)) flags.set(name, { name, value, meaning });
    }
  }
  return [...flags.values()];
}

function placeholderValue(placeholder: string | undefined): FlagValue {
  if (placeholder === undefined) return 'none';
  const words = placeholder.replace(/^<|>$/g, '').split('|');
  if (words.length > 1) return words;
  if (/file|path/.test(placeholder)) return 'file';
  return /folder/.test(placeholder) ? 'folder' : 'text';
}
