/**
 * The variables of the model hub, the same as those of huggingface_hub: endpoint, token and cache.
 */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { messageOf } from '../protocol/error-message.ts';
import { ConfigError } from './config.ts';
import { absolutePath } from './folder.ts';

/** The variables of the token of the hub; the first one that is set counts. */
export const HUB_TOKENS: readonly string[] = ['HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN'];

/** Address of the model hub, access to it, and the cache of its files. */
export interface HubSettings {
  /** Folder of the cache, an absolute path. */
  readonly cache: string;
  /** Without a trailing slash. */
  readonly endpoint: string;
  readonly token: string | undefined;
  /** True: only the cache is used. */
  readonly offline: boolean;
  /** False: snapshots of the cache contain copies instead of links. */
  readonly symlinks: boolean;
}

/**
 * Reads the variables of the hub.
 * @throws ConfigError if a value is not allowed. The message never contains the token.
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

/**
 * The cache folder: `HF_HUB_CACHE`, else `hub` in `HF_HOME`, else in the cache folder of the user
 * (huggingface_hub, constants.py).
 * @throws ConfigError if the path is relative and the working directory has been removed
 */
export function hubCache(environment: NodeJS.Dict<string> = process.env): string {
  const home = environment['HOME'] || homedir();
  const expanded = (path: string): string =>
    path
      .replace(/^~(?=$|[/\\])/, home)
      .replace(/\$(?:(\w+)|\{(\w+)\})/g, (all, bare, braced) => environment[bare ?? braced] ?? all);
  const user = environment['XDG_CACHE_HOME'] || join(home, '.cache');
  const hub = join(environment['HF_HOME'] || join(user, 'huggingface'), 'hub');
  const cache = expanded(environment['HF_HUB_CACHE'] || environment['HUGGINGFACE_HUB_CACHE'] || hub);
  try {
    return absolutePath(cache, 'HF_HUB_CACHE or HF_HOME');
  } catch (error) {
    throw new ConfigError(messageOf(error));
  }
}
