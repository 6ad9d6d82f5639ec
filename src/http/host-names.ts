/**
 * The name in `Host`: the only sign of a page whose name points to this machine.
 */
import { isIP } from 'node:net';
import type { Config } from '../config/config.ts';
import { ENV_FILE } from '../config/settings-file.ts';
import { WorkerError } from '../contract/errors.ts';
import { shownText } from './validate.ts';

/** A name or an address, and optionally a port. */
const AUTHORITY = /^(\[[\da-f:.]+\]|[^\s:/?#@[\]\\]+)(?::(\d{1,5}))?$/i;
/** Ports of `http` and `https`, which browsers leave out. */
const DEFAULT_PORTS: ReadonlySet<number> = new Set([80, 443]);

interface Authority {
  readonly name: string;
  /** Undefined for a default port. */
  readonly port: number | undefined;
}

/** Name and port of a `Host`; undefined if it has neither form. */
export function authorityOf(text: string): Authority | undefined {
  const [, name, port] = AUTHORITY.exec(text) ?? [];
  if (name === undefined) return undefined;
  const isDefault = port === undefined || DEFAULT_PORTS.has(Number(port));
  return { name: name.toLowerCase(), port: isDefault ? undefined : Number(port) };
}

/**
 * Names that are valid in `Host`, besides IP addresses, for a worker on loopback without a token. If the name
 * of a page points to 127.0.0.1 (DNS rebinding), page and worker have the same origin for the browser; only
 * the name in `Host` reveals the page. Names without a dot are no exception: a search domain, LLMNR or mDNS
 * can resolve them. Undefined: every name is valid.
 */
function hostNamesOf(config: Config): ReadonlySet<string> | undefined {
  const { host, advertiseUrl, apiToken, tokenOfFolder, allowUnauthenticated } = config;
  if ((apiToken !== undefined && !tokenOfFolder) || allowUnauthenticated) return undefined;
  const advertised = advertiseUrl === undefined ? [] : [new URL(advertiseUrl).hostname];
  return new Set(['localhost', host.toLowerCase(), ...advertised]);
}

/**
 * Returns a guard against foreign names. It accepts a request without `Host`: only HTTP/1.0 allows it, and no
 * browser speaks HTTP/1.0.
 * @throws WorkerError `FORBIDDEN_ORIGIN`, from the guard, with the settings that would allow the name
 */
export function nameGuard(config: Config): (host: string | undefined) => void {
  const names = hostNamesOf(config);
  return (host) => {
    if (names === undefined || host === undefined) return;
    const name = authorityOf(host)?.name ?? '';
    if (names.has(name) || isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0) return;
    throw new WorkerError('FORBIDDEN_ORIGIN', refusalOf(host, config), { details: { host: shownText(host) } });
  };
}

/** A name in the form of DNS, and a port. A longer name is not repeated. */
const SHORT_NAME = /^[a-z\d](?:[a-z\d._-]{0,62}[a-z\d])?(?::\d{1,5})?$/;

/**
 * The value of `--advertise-url` that allows a `Host`. Undefined if there is none: a URL changes `0x7f.1` to
 * 127.0.0.1, for example.
 */
function advertisedUrl(host: string): string | undefined {
  const url = `http://${host.toLowerCase()}`;
  const isName = SHORT_NAME.test(host.toLowerCase()) && URL.canParse(url);
  return isName && new URL(url).hostname === authorityOf(host)?.name ? url : undefined;
}

/** The reason for the refusal of a `Host`, and each way to allow it. */
function refusalOf(host: string, { apiToken }: Config): string {
  const url = advertisedUrl(host);
  const token = apiToken === undefined ? '--api-token' : `--${ENV_FILE.name} .env`;
  const reason =
    apiToken === undefined ? 'the worker has no --api-token' : 'the token in .env of a folder is not trusted';
  const ways = url === undefined ? token : `--advertise-url ${url} or with ${token}`;
  return (
    `Host must be localhost, an IP address, or the name in --host or --advertise-url, because ${reason}. ` +
    `To allow ${JSON.stringify(shownText(host))}, start the worker with ${ways}, or let the proxy send Host: localhost.`
  );
}
