/** The URL of a running worker, for the commands that call one: `--url`, otherwise `RBEES_URL`. */
import { shorten } from '../../protocol/text/error-message.ts';
import { shownUrl } from '../../protocol/text/url-text.ts';
import { ConfigError } from '../config.ts';
import { WORKER_URL_VARIABLE } from '../unknown-settings.ts';

/**
 * The URL, without a trailing slash; undefined if neither gives one.
 * @param flag the value of `--url`
 * @throws ConfigError for a value that is no http or https URL
 */
export function readWorkerUrl(
  flag: string | undefined,
  environment: NodeJS.Dict<string> = process.env,
): string | undefined {
  if (flag !== undefined) return checkedUrl('--url', flag);
  const value = environment[WORKER_URL_VARIABLE];
  return value ? checkedUrl(WORKER_URL_VARIABLE, value) : undefined;
}

/** @param source the flag or variable, for the error */
function checkedUrl(source: string, text: string): string {
  if (/^https?:\/\/[^@?#\s]+$/.test(text) && URL.canParse(text)) return text.replace(/\/{1,8}$/, '');
  throw new ConfigError(
    `${source}: ${shorten(JSON.stringify(shownUrl(text)), 200)} is not allowed; allowed: an http or https URL without user, query and fragment`,
  );
}
