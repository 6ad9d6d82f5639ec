/**
 * The variables of the model hub, the same as those of huggingface_hub: endpoint, token and cache.
 */
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { messageOf, shorten } from '../../protocol/text/error-message.ts';
import { shownUrl } from '../../protocol/text/url-text.ts';
import { ConfigError } from '../config.ts';
import { absolutePath } from '../host/folder.ts';
import { environmentName } from '../settings.ts';
import { type HubToken, readHubToken, type TokenFile } from './hub-token.ts';
import { type ProxyRule, readProxies } from './proxy-settings.ts';

/** Address of the model hub, access to it, and the cache of its files. */
export interface HubSettings extends HubToken {
  /** Folder of the cache, an absolute path. */
  readonly cache: string;
  /** Without a trailing slash. */
  readonly endpoint: string;
  readonly proxyFor: ProxyRule;
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
    throw new ConfigError(
      `HF_ENDPOINT: ${shorten(JSON.stringify(shownUrl(endpoint)), 200)} is not allowed; allowed: an http or https URL without user and query`,
    );
  const isTrue = (name: string): boolean => /^(1|on|yes|true)$/i.test(environment[name] ?? '');
  return {
    cache: hubCache(environment),
    endpoint,
    proxyFor: readProxies(environment),
    // huggingface_hub sends neither the token of a variable nor that of the file then.
    ...(isTrue('HF_HUB_DISABLE_IMPLICIT_TOKEN')
      ? { token: undefined, tokenSource: undefined }
      : readHubToken(environment, tokenFile(environment))),
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
  const path = environment['HF_HUB_CACHE'] || environment['HUGGINGFACE_HUB_CACHE'] || join(hubHome(environment), 'hub');
  return place(environment, path, 'HF_HUB_CACHE or HF_HOME');
}

/**
 * The folder of saved weights: that of the setting, else beside the cache of the hub, where the weights are.
 * @param setting value of `--weights-cache`; undefined: that of its variable
 * @returns undefined for `off`
 * @throws as `hubCache`
 */
export function weightsFolder(
  setting: string | undefined,
  environment: NodeJS.Dict<string> = process.env,
): string | undefined {
  const given = setting ?? environment[environmentName('weights-cache')];
  if (given === 'off') return undefined;
  if (given) return place(environment, given, '--weights-cache');
  return join(dirname(hubCache(environment)), 'rbees-workerd', 'weights');
}

/** The file that `hf auth login` writes: `HF_TOKEN_PATH`, else `token` in `HF_HOME` or its default. */
function tokenFile(environment: NodeJS.Dict<string>): TokenFile {
  const named = environment['HF_TOKEN_PATH'];
  return {
    path: place(environment, named || join(hubHome(environment), 'token'), 'HF_TOKEN_PATH or HF_HOME'),
    isNamed: Boolean(named),
  };
}

function hubHome(environment: NodeJS.Dict<string>): string {
  return (
    environment['HF_HOME'] || join(environment['XDG_CACHE_HOME'] || join(homeOf(environment), '.cache'), 'huggingface')
  );
}

const homeOf = (environment: NodeJS.Dict<string>): string => environment['HOME'] || homedir();

/**
 * An absolute path. `~` and variables in it are replaced, as in Python.
 * @param source the variables that give the path, for the error
 */
function place(environment: NodeJS.Dict<string>, path: string, source: string): string {
  const expanded = path
    .replace(/^~(?=$|[/\\])/, homeOf(environment))
    .replace(/\$(?:(\w+)|\{(\w+)\})/g, (all, bare, braced) => environment[bare ?? braced] ?? all);
  try {
    return absolutePath(expanded, source);
  } catch (error) {
    throw new ConfigError(messageOf(error));
  }
}
