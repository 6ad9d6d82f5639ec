/**
 * The running worker that a command calls: its URL and its token, from flags and the environment. No setting
 * of a worker is checked here: a wrong one does not matter to a caller.
 */
import { z } from 'zod';
import '../zod.ts';
import { shorten } from '../../protocol/text/error-message.ts';
import { shownUrl } from '../../protocol/text/url-text.ts';
import { WORKER_URL } from '../unknown-settings.ts';
import { httpUrl, token } from './address-settings.ts';

const API_TOKEN = 'RBEES_API_TOKEN';

/** A running worker. */
export interface ClientSettings {
  /** Undefined if no worker is named. */
  readonly url: string | undefined;
  readonly apiToken: string | undefined;
}

const urlSchema = z.union([z.literal('none').transform(() => undefined), httpUrl]);

/**
 * Reads `--url` and `--api-token`, otherwise `RBEES_URL` and `RBEES_API_TOKEN`. An empty variable counts as
 * absent, and the URL `none` names no worker.
 * @param flags the values of the flags, if they are given
 * @returns the problems as sentences; the token is never in them
 */
export function readClientSettings(
  flags: { readonly url?: string | undefined; readonly apiToken?: string | undefined },
  environment: Readonly<Record<string, string | undefined>> = process.env,
): ClientSettings & { readonly problems: readonly string[] } {
  const problems: string[] = [];
  const read = <T>(
    schema: z.ZodType<T>,
    given: { flag: string; value: string | undefined; variable: string; isSecret: boolean },
    allowed: string,
  ): T | undefined => {
    const text = given.value ?? (environment[given.variable] || undefined);
    if (text === undefined) return undefined;
    const parsed = schema.safeParse(text);
    if (parsed.success) return parsed.data;
    const source = given.value === undefined ? given.variable : given.flag;
    const shown = given.isSecret ? '(hidden)' : shorten(JSON.stringify(shownUrl(text)), 200);
    problems.push(`${source}: ${shown} is not allowed; allowed: ${allowed}`);
    return undefined;
  };
  const url = read(
    urlSchema,
    { flag: '--url', value: flags.url, variable: WORKER_URL, isSecret: false },
    'the http or https URL of a running worker, or none',
  );
  const apiToken = read(
    token,
    { flag: '--api-token', value: flags.apiToken, variable: API_TOKEN, isSecret: true },
    '8 to 512 visible ASCII characters',
  );
  return { url, apiToken, problems: [...problems, ...(url === undefined ? [] : urlProblems(url))] };
}

/** `fetch` refuses a URL with a user, and the routes of a worker follow its path. */
function urlProblems(text: string): string[] {
  const { username, password, search, hash } = new URL(text);
  if (username + password + search + hash === '') return [];
  return [
    `The URL ${shorten(JSON.stringify(shownUrl(text)), 200)} has a user, a query or a fragment: give scheme, host, port and path`,
  ];
}
