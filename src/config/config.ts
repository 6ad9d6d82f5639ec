/**
 * Reads and checks the settings of this process. Order of precedence: flag, environment variable, file
 * of settings, default. The files of this folder are the only ones that read process.env.
 */

import { parseArgs } from 'node:util';
import { v4 as uuid } from 'uuid';
import type { z } from 'zod';
import { messageOf, shorten } from '../protocol/text/error-message.ts';
import { shownUrl, withoutUrlSecrets } from '../protocol/text/url-text.ts';
import { contradictions, lostPaths, modelContradictions } from './contradictions.ts';
import { nearestOf } from './nearest.ts';
import type { Setting } from './setting-rows.ts';
import { environmentName, SETTINGS, type SettingName } from './settings.ts';
import { ENV_FILE, readFolderFile, readNamedFile, type SettingsSource } from './settings-file.ts';
import { type UnknownSettings, unknownSettings } from './unknown-settings.ts';

type Raw = { [K in SettingName]: z.output<(typeof SETTINGS)[K]['schema']> };
type Optional =
  | 'model'
  | 'runtime-library'
  | 'callback-url'
  | 'callback-token'
  | 'advertise-url'
  | 'ready-fd'
  | 'api-token'
  | 'context'
  | 'weights-cache';
type Camel<S extends string> = S extends `${infer A}-${infer B}` ? `${A}${Capitalize<Camel<B>>}` : S;

/** The checked settings of one worker. Times are in seconds. */
export type Config = { readonly [K in Exclude<SettingName, Optional> as Camel<K>]: Raw[K] } & {
  readonly [K in Optional as Camel<K>]?: Raw[K];
} & {
  /**
   * True if `.env` of the working directory sets the token. The author of that file knows the token. The
   * worker requires it, but still neither listens beyond loopback nor accepts a foreign `Host`.
   */
  readonly tokenOfFolder: boolean;
};

/**
 * A setting or command line is wrong. The message names the flag or variable, its value and the allowed
 * values. Exit code 2.
 */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** A file of settings that was read, for the narration. Names only, never values. */
export interface SettingsFile {
  /** An absolute path. */
  readonly path: string;
  /** The settings that have their value from the file. */
  readonly used: readonly string[];
  /** The settings that the file may not set. Their values were not used. */
  readonly ignored: readonly string[];
}

/** The checked settings, and where they come from. */
export interface Settings {
  readonly config: Config;
  /** All given values by environment variable: they start another worker with the same settings. */
  readonly variables: Readonly<Record<string, string>>;
  readonly file?: SettingsFile;
  /** Variables of the environment and the file that no setting has. */
  readonly unknown: UnknownSettings;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads flags, environment variables and the file that `--env-file` names.
 * @throws ConfigError that lists all bad settings, one per line.
 */
export function readConfig(args: readonly string[], environment: Environment = process.env): Config {
  return readSettings(args, { environment }).config;
}

/** Maximum characters of a wrong value in a message: the allowed values follow it. */
const MAX_SHOWN = 200;

/**
 * Reads flags, environment variables and a file of settings.
 * @param from.folder the folder whose `.env` is read if `--env-file` names no file; absent: no such file is
 * read
 * @param from.reads chooses the settings that are read from variables and from the file; absent: all. A
 * command that does not listen ignores the address of a worker whose environment it has. All flags are read.
 * @throws ConfigError that lists all bad settings, one per line.
 */
export function readSettings(
  args: readonly string[],
  {
    environment = process.env,
    folder,
    reads,
  }: {
    readonly environment?: Environment;
    readonly folder?: string | undefined;
    readonly reads?: (name: SettingName) => boolean;
  } = {},
): Settings {
  const flags = readFlags(args);
  const file = settingsSource(flags, environment, folder);
  const config: Record<string, unknown> = {};
  const variables: Record<string, string> = {};
  const problems: string[] = [];
  const used: string[] = [];
  const ignored: string[] = file?.values[ENV_FILE.variable] ? [ENV_FILE.name] : [];
  for (const [name, row] of Object.entries(SETTINGS) as [SettingName, Setting<z.ZodType>][]) {
    const variable = environmentName(name);
    if (flags[name] === '') problems.push(`--${name}: the value is missing; allowed: ${row.allowed}`);
    const isRead = reads === undefined || reads(name);
    let [source, given] = firstGiven([`--${name}`, flags[name]], [variable, isRead ? environment[variable] : '']);
    const inFile = isRead ? file?.values[variable] : undefined;
    if (file && given === undefined && inFile) {
      const isAllowed = file.isNamed || row.fromFolder?.includes(inFile) !== false;
      (isAllowed ? used : ignored).push(name);
      if (isAllowed) [source, given] = [`${variable} in ${file.path}`, inFile];
    }
    if (given !== undefined) variables[variable] = given;
    const value = given ?? row.fallback;
    if (value === undefined) continue;
    const parsed = row.schema.safeParse(value);
    if (parsed.success) config[camel(name)] = parsed.data;
    else
      problems.push(
        `${source}: ${shownValue(name, value)} is not allowed; allowed: ${row.allowed}${kubernetesHint(variable, given)}`,
      );
  }
  config['workerId'] ??= uuid();
  const listens = reads === undefined || reads('api-token');
  config['tokenOfFolder'] = file?.isNamed === false && used.includes('api-token');
  const checked = config as Config;
  if (problems.length === 0)
    problems.push(...(listens ? contradictions(checked) : []), ...modelContradictions(checked), ...lostPaths(checked));
  if (problems.length > 0) throw new ConfigError(problems.join('\n'));
  const unknown = unknownSettings(environment, file);
  return { config: checked, variables, unknown, ...(file && { file: { path: file.path, used, ignored } }) };
}

/** Kubernetes sets such a variable in every container for a service with the name `rbees`. */
function kubernetesHint(variable: string, value: string | undefined): string {
  if (!/^(?:tcp|udp|sctp):\/\//.test(value ?? '')) return '';
  return `; Kubernetes sets ${variable} for a service named rbees: rename it, or set enableServiceLinks: false`;
}

/** A wrong value for the error message. No token, and no secret of a URL. */
function shownValue(name: SettingName, value: unknown): string {
  if (name.endsWith('-token')) return '(hidden)';
  const text = String(value);
  return shorten(JSON.stringify(name.endsWith('-url') ? shownUrl(text) : withoutUrlSecrets(text)), MAX_SHOWN);
}

function settingsSource(
  flags: Readonly<Record<string, string | undefined>>,
  environment: Environment,
  folder: string | undefined,
): SettingsSource | undefined {
  const flag = `--${ENV_FILE.name}`;
  if (flags[ENV_FILE.name] === '') throw new ConfigError(`${flag}: the value is missing; allowed: ${ENV_FILE.allowed}`);
  const [source, path] = firstGiven([flag, flags[ENV_FILE.name]], [ENV_FILE.variable, environment[ENV_FILE.variable]]);
  try {
    if (path !== undefined) return readNamedFile(path, source);
    return folder === undefined ? undefined : readFolderFile(folder);
  } catch (error) {
    throw new ConfigError(messageOf(error));
  }
}

/** An empty value counts as absent: shells and compose files express "none" in this way. */
function firstGiven(...sources: [name: string, value: string | undefined][]): [string, string | undefined] {
  return sources.find(([, value]) => value !== undefined && value !== '') ?? ['default', undefined];
}

function readFlags(args: readonly string[]): Record<string, string | undefined> {
  const rows = Object.entries(SETTINGS) as [string, Setting<z.ZodType>][];
  const options = Object.fromEntries([
    ...rows.map(([name, row]) => [name, { type: row.boolean ? 'boolean' : 'string' }] as const),
    [ENV_FILE.name, { type: 'string' }] as const,
  ]);
  try {
    const { values } = parseArgs({
      args: [...args],
      options,
      strict: true,
      allowPositionals: false,
      allowNegative: true,
    });
    return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, String(value)]));
  } catch (error) {
    const reason = shorten(withoutUrlSecrets(messageOf(error)), 2 * MAX_SHOWN);
    const hint = suggestionFor(error, Object.keys(options));
    throw new ConfigError(`${reason}${hint}\nrbees-workerd serve --help-all lists all settings.`);
  }
}

/**
 * The end of the message for an unknown option: the known option with a similar name. Empty if there is none,
 * and for other errors.
 */
export function suggestionFor(error: unknown, known: readonly string[]): string {
  if ((error as NodeJS.ErrnoException).code !== 'ERR_PARSE_ARGS_UNKNOWN_OPTION') return '';
  const name = /'--([^'=]+)/.exec(messageOf(error))?.[1];
  const nearest = name === undefined ? undefined : nearestOf(name, known);
  return nearest === undefined ? '' : `\nDid you mean --${nearest}?`;
}

const camel = (name: string): string => name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());

/**
 * True if `npm start` runs this process: then npm puts a shell in between, which dies of SIGTERM without
 * forwarding it.
 */
export function startedByNpm(environment: NodeJS.ProcessEnv = process.env): boolean {
  return environment['npm_lifecycle_event'] === 'start';
}

/** Variables of worker, hub, proxies and traces. The engine does not need them, and some are secrets. */
const NOT_FOR_THE_ENGINE = /^(?:(?:RBEES|HF|HUGGING_?FACE|OTEL)_|(?:https?|all|no)_proxy$|(?:HTTPS?|ALL|NO)_PROXY$)/;

/**
 * The environment of the engine process: paths and device variables, but no settings of the worker and no
 * token.
 */
export function engineEnvironment(environment: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !NOT_FOR_THE_ENGINE.test(name)));
}

/**
 * The environment of a worker that this process starts: the given settings instead of those of this process,
 * and no file, because it has been read. A token in the environment is not in the list of processes, as a
 * flag would be, and the worker hides it. The variables of traces stay out: their secrets are hidden by now.
 */
export function workerEnvironment(
  { variables }: Settings,
  environment: NodeJS.ProcessEnv = process.env,
): NodeJS.ProcessEnv {
  const others = Object.entries(environment).filter(([name]) => !/^(?:RBEES|OTEL)_/.test(name));
  return { ...Object.fromEntries(others), ...variables, [ENV_FILE.variable]: 'none' };
}
