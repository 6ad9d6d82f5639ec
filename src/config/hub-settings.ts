/**
 * The model hub's own variables, which huggingface_hub reads too: where the hub is, its token, its cache.
 */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { ConfigError } from './config.ts';

const HUB_TOKENS: readonly string[] = ['HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN'];

/** How the model hub is reached, and where what comes from it is kept: by the variables that huggingface_hub reads too. */
export interface HubSettings {
  /** Folder of the cache, absolute. */
  readonly cache: string;
  /** Without a slash at its end. */
  readonly endpoint: string;
  readonly token: string | undefined;
  readonly offline: boolean;
  /** False: files of the cache are never linked, always copied. */
  readonly symlinks: boolean;
}

/**
 * Reads the hub's own variables.
 * @throws ConfigError when one cannot be used; a token is never shown.
 */
export function readHubSettings(environment: NodeJS.Dict<string> = process.env): HubSettings {
  const endpoint = (environment['HF_ENDPOINT'] || 'https://huggingface.co').replace(/\/{1,8}$/, '');
  if (!/^https?:\/\/[^@?#]+$/.test(endpoint) || !URL.canParse(endpoint))
    throw new ConfigError(`HF_ENDPOINT: ${JSON.stringify(endpoint)} is not allowed; allowed: an http or https URL`);
  const token = HUB_TOKENS.map((name) => environment[name]?.trim()).find(Boolean);
  if (token !== undefined && !/^[\x21-\x7e]{1,1024}$/.test(token))
    throw new ConfigError('HF_TOKEN: (hidden) is not allowed; allowed: up to 1024 visible ASCII characters');
  const isTrue = (name: string): boolean => /^(1|on|yes|true)$/i.test(environment[name] ?? '');
  return {
    cache: hubCache(environment),
    endpoint,
    token,
    offline: isTrue('HF_HUB_OFFLINE'),
    symlinks: !isTrue('HF_HUB_DISABLE_SYMLINKS'),
  };
}

/** Folder of the hub's cache: `HF_HUB_CACHE`, else `hub` in `HF_HOME`, else in the user's cache folder (huggingface_hub, constants.py). */
export function hubCache(environment: NodeJS.Dict<string> = process.env): string {
  const home = environment['HOME'] || homedir();
  const expanded = (path: string): string =>
    path
      .replace(/^~(?=$|[/\\])/, home)
      .replace(/\$(?:(\w+)|\{(\w+)\})/g, (all, bare, braced) => environment[bare ?? braced] ?? all);
  const user = environment['XDG_CACHE_HOME'] || join(home, '.cache');
  const hub = join(environment['HF_HOME'] || join(user, 'huggingface'), 'hub');
  return resolve(expanded(environment['HF_HUB_CACHE'] || environment['HUGGINGFACE_HUB_CACHE'] || hub));
}
