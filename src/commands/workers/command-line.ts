/** The flags that all commands about running workers share. */
import { parseArgs } from 'node:util';
import { ConfigError, suggestionFor } from '../../config/config.ts';
import { hideSecrets } from '../../config/host/hide-secrets.ts';
import { readClientSettings } from '../../config/network/client-settings.ts';
import { keepSecret } from '../../narration/sanitize.ts';
import { messageOf, shorten } from '../../protocol/text/error-message.ts';

/**
 * The lines about them in the help of a command.
 * @param note a further line about `--url`
 */
export const workerFlagsHelp = (note: string): string => `  --url <url>          URL of a running worker; also RBEES_URL
                       ${note}
  --api-token <token>  its token; also RBEES_API_TOKEN, which the list of
                       processes does not show`;

/** The workers that a command asks. */
export interface WorkerSelection {
  /** Empty: the workers of this machine. */
  readonly urls: readonly string[];
  readonly apiToken: string | undefined;
}

export interface WorkerArguments {
  readonly selection: WorkerSelection;
  readonly positionals: readonly string[];
  /** The arguments after `--`. */
  readonly rest: readonly string[];
  /** The switches that were given. */
  readonly switches: ReadonlySet<string>;
}

/** The command line of one command. */
export interface WorkerCommandLine {
  readonly command: string;
  /** The flags without a value. */
  readonly switches: readonly string[];
  /** Maximum number of arguments that are no flags. */
  readonly most: number;
}

/**
 * Reads the command line, and hides the secrets of this process.
 * @throws ConfigError
 */
export function readWorkerArguments(
  args: readonly string[],
  { command, switches, most }: WorkerCommandLine,
): WorkerArguments {
  const end = args.indexOf('--');
  const own = end < 0 ? args : args.slice(0, end);
  const { values, positionals } = parseFlags(command, own, switches);
  const extra = positionals[most];
  if (extra !== undefined) throw new ConfigError(`${command}: ${shorten(JSON.stringify(extra), 200)} is not expected`);
  const { url: flags = [], 'api-token': apiToken, ...given } = values;
  const read = (flags.length > 0 ? flags : [undefined]).map((url) => readClientSettings({ url, apiToken }));
  const problems = read.flatMap((one) => one.problems);
  if (problems.length > 0) throw new ConfigError([...new Set(problems)].join('\n'));
  hideSecrets();
  const token = read[0]?.apiToken;
  if (token !== undefined) keepSecret(token);
  return {
    selection: { urls: [...new Set(read.flatMap(({ url }) => url?.replace(/\/{1,8}$/, '') ?? []))], apiToken: token },
    positionals,
    rest: end < 0 ? [] : args.slice(end + 1),
    switches: new Set(Object.keys(given)),
  };
}

function parseFlags(command: string, args: readonly string[], switches: readonly string[]) {
  const options = {
    url: { type: 'string', multiple: true },
    'api-token': { type: 'string' },
  } as const;
  const more = Object.fromEntries(switches.map((name) => [name, { type: 'boolean' } as const]));
  try {
    return parseArgs({ args: [...args], options: { ...more, ...options }, allowPositionals: true, strict: true });
  } catch (error) {
    const hint = suggestionFor(error, [...switches, ...Object.keys(options)]);
    throw new ConfigError(`${command}: ${messageOf(error)}${hint}\nrbees-workerd ${command} --help shows all flags.`);
  }
}
