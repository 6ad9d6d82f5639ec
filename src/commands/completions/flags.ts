/**
 * The flags of the commands, from the texts and tables that already exist: the help of each command, and the
 * table of settings. Pure.
 */
import { z } from 'zod';
import type { Setting } from '../../config/setting-rows.ts';
import { SETTINGS } from '../../config/settings.ts';
import { ENV_FILE } from '../../config/settings-file.ts';
import { executeFields } from '../../contract/execute.ts';
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
  /** True if settings of a worker follow `--`. */
  readonly passesSettings: boolean;
}

/** Values of settings whose schema is no list of words. */
const KNOWN_VALUES: Readonly<Record<string, FlagValue>> = {
  model: 'model',
  device: ['auto', ...Object.keys(DEVICES)],
  'runtime-library': 'file',
  'weights-cache': 'folder',
  [ENV_FILE.name]: 'file',
};

/** The settings of a worker as flags. */
export function settingFlags(): Flag[] {
  const rows = Object.entries(SETTINGS) as [string, Setting<z.ZodType>][];
  return [
    { name: `--${ENV_FILE.name}`, value: 'file', meaning: ENV_FILE.meaning },
    ...rows.map(([name, row]) => ({
      name: `--${name}`,
      value: settingValue(name, row),
      meaning: firstSentence(row.meaning),
    })),
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

/**
 * `  --dtype <type>   data type …`, `      --stop <text> …`, `  -c, --continue   …`, `  --host, --port   …`.
 */
const HELP_LINE =
  /^ {2}(?: {4})?(--?[a-z][a-z-]*(?:, --?[a-z][a-z-]*)*)(?: (<[^>]+>|[a-z]+(?:\|[a-z]+)+)(?: …)?)?(?:,? +(.*))?$/;
/** The description of a flag on the line below it. */
const NEXT_LINE = /^ {6}([^\s-].*)$/;
/** Longest description, in characters. */
const MAX_MEANING = 100;

/**
 * The flags in the help of a command. A flag with the name of a setting, or of a field of a request, takes
 * its values.
 * @param help the text of `--help-all`
 */
export function helpFlags(help: string): Flag[] {
  const known = new Map([...requestValues(), ...settingFlags().map(({ name, value }) => [name, value] as const)]);
  const flags = new Map<string, Flag>();
  const lines = help.split('\n');
  for (const [at, line] of lines.entries()) {
    const [, names, placeholder, sameLine = ''] = HELP_LINE.exec(line) ?? [];
    const meaning = firstSentence(sameLine || (NEXT_LINE.exec(lines[at + 1] ?? '')?.[1] ?? ''));
    for (const name of names?.split(', ') ?? []) {
      const value = known.get(name) ?? placeholderValue(placeholder);
      // An overview can name a flag without its value.
      if ((flags.get(name)?.value ?? 'none') === 'none') flags.set(name, { name, value, meaning });
    }
  }
  return [...flags.values()];
}

const firstSentence = (text: string): string => {
  const [first = ''] = text.split(/(?<=[^.])\. /, 1);
  return first.length > MAX_MEANING ? `${first.slice(0, MAX_MEANING - 1)}…` : first;
};

/** The words that a field of a request allows, by its flag. */
function requestValues(): (readonly [string, FlagValue])[] {
  const schema = z.toJSONSchema(z.object(executeFields()), { io: 'input', unrepresentable: 'any' });
  return Object.entries(schema.properties ?? {}).flatMap(([field, one]) => {
    const words = wordsOf(one as FieldSchema);
    return words.length === 0 ? [] : [[`--${field.replaceAll('_', '-')}`, words] as const];
  });
}

/** The part of a JSON schema that lists words. */
interface FieldSchema {
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly FieldSchema[];
}

const wordsOf = ({ enum: words = [], const: only, anyOf = [] }: FieldSchema): string[] => [
  ...[...words, only].filter(isWord),
  ...anyOf.flatMap(wordsOf),
];

function placeholderValue(placeholder: string | undefined): FlagValue {
  if (placeholder === undefined) return 'none';
  const words = placeholder.replace(/^<|>$/g, '').split('|');
  if (words.length > 1) return words;
  if (/file|path/.test(placeholder)) return 'file';
  return /folder/.test(placeholder) ? 'folder' : 'text';
}

/**
 * Branches of a `case` of bash or zsh over the flag before the cursor. Each completes the values of a flag.
 * @param actionOf the commands for a kind of value; undefined for a flag without a value
 */
export function valueCases(flags: readonly Flag[], actionOf: (value: FlagValue) => string | undefined): string {
  const branches = flags.flatMap(({ name, value }) => {
    const action = actionOf(value);
    return action === undefined ? [] : [`        ${name}) ${action}return ;;`];
  });
  return branches.join('\n');
}

/** A pattern of bash and zsh: the commands behind whose `--` the settings of a worker follow. */
export const passingPattern = (commands: readonly CompletedCommand[]): string =>
  commands.flatMap(({ name, passesSettings }) => (passesSettings ? [name] : [])).join('|') || "''";
