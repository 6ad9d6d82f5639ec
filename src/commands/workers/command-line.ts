/** The flags that all commands about running workers share. */
import { parseArgs } from 'node:util';
import { ConfigError, readSettings, suggestionFor } from '../../config/config.ts';
import { hideSecrets } from '../../config/host/hide-secrets.ts';
import { readWorkerUrl } from '../../config/network/worker-url.ts';
import { keepSecret } from '../../narration/sanitize.ts';
import { messageOf, shorten } from '../../protocol/text/error-message.ts';
import { reportUnknown } from '../unknown-settings.ts';

/** The lines about them in the help of a command. */
export const WORKER_FLAGS_HELP = `  --url <url>          a worker that runs; default: RBEES_URL
  --api-token <token>  its token; default: RBEES_API_TOKEN, which no other user
                       can see in the list of processes
  --env-file <file>    file of settings, for the token; default: none`;

/** Which workers a command asks. */
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
export async function readWorkerArguments(
  args: readonly string[],
  { command, switches, most }: WorkerCommandLine,
): Promise<WorkerArguments> {
  const end = args.indexOf('--');
  const own = end < 0 ? args : args.slice(0, end);
  const { values, positionals } = parseFlags(command, own, switches);
  const extra = positionals[most];
  if (extra !== undefined) throw new ConfigError(`${command}: ${shorten(JSON.stringify(extra), 200)} is not expected`);
  const { url: flags = [], 'api-token': token, 'env-file': file, ...given } = values;
  const urls = [...(flags.length > 0 ? flags : [undefined])].flatMap((flag) => readWorkerUrl(flag) ?? []);
  // A token in a flag and one of the environment follow the rules of the settings.
  const settings = Object.entries({ 'api-token': token, 'env-file': file });
  const { config, unknown } = readSettings(settings.flatMap(([name, value]) => (value ? [`--${name}`, value] : [])));
  hideSecrets();
  if (config.apiToken !== undefined) keepSecret(config.apiToken);
  await reportUnknown(unknown);
  return {
    selection: { urls: [...new Set(urls)], apiToken: config.apiToken },
    positionals,
    rest: end < 0 ? [] : args.slice(end + 1),
    switches: new Set(Object.keys(given)),
  };
}

function parseFlags(command: string, args: readonly string[], switches: readonly string[]) {
  const options = {
    url: { type: 'string', multiple: true },
    'api-token': { type: 'string' },
    'env-file': { type: 'string' },
  } as const;
  const more = Object.fromEntries(switches.map((name) => [name, { type: 'boolean' } as const]));
  try {
    return parseArgs({ args: [...args], options: { ...more, ...options }, allowPositionals: true, strict: true });
  } catch (error) {
    const hint = suggestionFor(error, [...switches, ...Object.keys(options)]);
    throw new ConfigError(`${command}: ${messageOf(error)}${hint}\nrbees-workerd ${command} --help shows all flags.`);
  }
}
