/**
 * The settings of this process, read and checked: flag beats environment beats .env beats default.
 * The only file that reads process.env.
 */
import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { parseArgs, parseEnv } from 'node:util';
import { v4 as uuid } from 'uuid';
import type { z } from 'zod';
import { environmentName, SETTINGS, type Setting, type SettingName } from './settings.ts';

type Raw = { [K in SettingName]: z.output<(typeof SETTINGS)[K]['schema']> };
type Optional = 'model' | 'runtime-library' | 'callback-url' | 'advertise-url' | 'api-token' | 'context';
type Camel<S extends string> = S extends `${infer A}-${infer B}` ? `${A}${Capitalize<Camel<B>>}` : S;

/** The settings of one worker, checked. Times are in seconds. */
export type Config = { readonly [K in Exclude<SettingName, Optional> as Camel<K>]: Raw[K] } & {
  readonly [K in Optional as Camel<K>]?: Raw[K];
};

/** A setting that cannot be used: names the flag (or variable), the value and what is allowed. Exit code 2. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/**
 * Reads flags, environment and `.env`.
 * @throws ConfigError that lists every bad setting, one a line.
 */
export function readConfig(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>> = process.env,
  envFile = '.env',
): Config {
  const flags = readFlags(args);
  const file = readEnvFile(envFile);
  const config: Record<string, unknown> = {};
  const problems: string[] = [];
  for (const [name, row] of Object.entries(SETTINGS) as [SettingName, Setting<z.ZodType>][]) {
    const variable = environmentName(name);
    const [source, given] = firstGiven(
      [`--${name}`, flags[name]],
      [variable, environment[variable]],
      [`${variable} in ${envFile}`, file[variable]],
    );
    if (flags[name] === '') problems.push(`--${name}: a value is missing; allowed: ${row.allowed}`);
    const value = given ?? row.fallback;
    if (value === undefined) continue;
    const parsed = row.schema.safeParse(value);
    const shown = name === 'api-token' ? '(hidden)' : JSON.stringify(value);
    if (parsed.success) config[camel(name)] = parsed.data;
    else problems.push(`${source}: ${shown} is not allowed; allowed: ${row.allowed}`);
  }
  config['workerId'] ??= uuid();
  const checked = config as Config;
  if (problems.length === 0) problems.push(...contradictions(checked));
  if (problems.length > 0) throw new ConfigError(problems.join('\n'));
  return checked;
}

function readEnvFile(path: string): NodeJS.Dict<string> {
  if (!existsSync(path)) return {};
  try {
    return parseEnv(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new ConfigError(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** An empty variable counts as not given: that is how shells and compose files say "none". */
function firstGiven(...sources: [name: string, value: string | undefined][]): [string, string | undefined] {
  return sources.find(([, value]) => value !== undefined && value !== '') ?? ['default', undefined];
}

function readFlags(args: readonly string[]): Record<string, string | undefined> {
  const options = Object.fromEntries(
    (Object.entries(SETTINGS) as [string, Setting<z.ZodType>][]).map(([name, row]) => [
      name,
      { type: row.boolean ? 'boolean' : 'string' } as const,
    ]),
  );
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
    throw new ConfigError(error instanceof Error ? error.message : String(error));
  }
}

function contradictions(config: Config): string[] {
  const open = !isLoopback(config.host) && config.apiToken === undefined && !config.allowUnauthenticated;
  return open
    ? [
        `--host: "${config.host}" is reachable from outside; give --api-token, or --allow-unauthenticated to say that this is meant`,
      ]
    : [];
}

/** Whether only this machine can reach `host`. */
function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true;
  return isIP(host) === 4 && host.startsWith('127.');
}

const camel = (name: string): string => name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());

/** Whether `npm start` runs this process: npm puts a shell in between, which dies of a SIGTERM without passing it on. */
export function startedByNpm(environment: NodeJS.ProcessEnv = process.env): boolean {
  return environment['npm_lifecycle_event'] === 'start';
}

/** Names of the worker's settings and of all that has to do with the hub: the engine has no use for them, and some are secrets. */
const NOT_FOR_THE_ENGINE = /^(?:RBEES|HF|HUGGING_?FACE)_/;

/** What the engine process gets to see: the paths and device variables it inherits, none of the worker's own settings, no token. */
export function engineEnvironment(environment: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !NOT_FOR_THE_ENGINE.test(name)));
}
