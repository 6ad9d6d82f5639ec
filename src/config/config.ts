/**
 * Reads and checks the settings of this process. Order of precedence: flag, environment variable, .env,
 * default. The files of this folder are the only ones that read process.env.
 */

import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { parseArgs, parseEnv } from 'node:util';
import { v4 as uuid } from 'uuid';
import type { z } from 'zod';
import { messageOf } from '../protocol/error-message.ts';
import { environmentName, SETTINGS, type Setting, type SettingName } from './settings.ts';

type Raw = { [K in SettingName]: z.output<(typeof SETTINGS)[K]['schema']> };
type Optional = 'model' | 'runtime-library' | 'callback-url' | 'advertise-url' | 'api-token' | 'context';
type Camel<S extends string> = S extends `${infer A}-${infer B}` ? `${A}${Capitalize<Camel<B>>}` : S;

/** The checked settings of one worker. Times are in seconds. */
export type Config = { readonly [K in Exclude<SettingName, Optional> as Camel<K>]: Raw[K] } & {
  readonly [K in Optional as Camel<K>]?: Raw[K];
};

/**
 * A setting or command line is wrong. The message names the flag or variable, its value and the allowed
 * values. Exit code 2.
 */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/**
 * Reads flags, environment variables and `.env`.
 * @throws ConfigError that lists all bad settings, one per line.
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
    if (flags[name] === '') problems.push(`--${name}: the value is missing; allowed: ${row.allowed}`);
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
    throw new ConfigError(`Cannot read the settings file ${path}: ${messageOf(error)}`);
  }
}

/** An empty value counts as absent: shells and compose files express "none" in this way. */
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
    const reason = messageOf(error);
    throw new ConfigError(`${reason}\nrbees-workerd --help lists all settings.`);
  }
}

function contradictions(config: Config): string[] {
  const open = !isLoopback(config.host) && config.apiToken === undefined && !config.allowUnauthenticated;
  return open
    ? [
        `--host: "${config.host}" is reachable from other machines and requires --api-token; to run without a token, add --allow-unauthenticated`,
      ]
    : [];
}

/** True if only this machine can reach `host`. */
function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true;
  return isIP(host) === 4 && host.startsWith('127.');
}

const camel = (name: string): string => name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());

/**
 * True if `npm start` runs this process: then npm puts a shell in between, which dies of SIGTERM without
 * forwarding it.
 */
export function startedByNpm(environment: NodeJS.ProcessEnv = process.env): boolean {
  return environment['npm_lifecycle_event'] === 'start';
}

/** Variables of the worker and of the hub. The engine does not need them, and some are secrets. */
const NOT_FOR_THE_ENGINE = /^(?:RBEES|HF|HUGGING_?FACE)_/;

/**
 * The environment of the engine process: paths and device variables, but no settings of the worker and no
 * token.
 */
export function engineEnvironment(environment: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !NOT_FOR_THE_ENGINE.test(name)));
}
