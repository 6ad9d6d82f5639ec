/**
 * The proxies of the environment: `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, in lower or upper case, by the
 * rules of curl and huggingface_hub. Decides which proxy a request takes; opens no connection.
 */
import { BlockList, isIP } from 'node:net';
import { domainToASCII } from 'node:url';
import { shorten } from '../../protocol/text/error-message.ts';
import { shownUrl } from '../../protocol/text/url-text.ts';
import { ConfigError } from '../config.ts';

/** A proxy for outgoing requests. */
export interface HttpProxy {
  /** The variable that names it, as it is written in the environment. */
  readonly variable: string;
  /** Scheme, host and port: without user and password, so it may be shown. */
  readonly name: string;
  readonly url: URL;
  /** The value of `Proxy-Authorization`; undefined without a user. A secret. */
  readonly authorization: string | undefined;
  /** The password, to be kept out of all texts. */
  readonly password: string;
}

/**
 * The proxy for a URL; undefined if the connection is direct.
 * @throws ConfigError if the variable that applies to the URL is not the URL of a proxy
 */
export type ProxyRule = (target: URL) => HttpProxy | undefined;

const ALLOWED = 'an http or https URL of a proxy, such as http://proxy.example:3128';

/** Maximum characters of a host name (RFC 1035, section 2.3.4). Every failure names the host. */
const MAX_HOST = 253;
/** Maximum UTF-16 units of a rejected value in its error. */
const MAX_SHOWN = 200;

/** This machine: 127.0.0.0/8, ::1, and the unspecified addresses, which lead here too. */
const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8);
LOOPBACK.addAddress('0.0.0.0');
LOOPBACK.addAddress('::1', 'ipv6');
LOOPBACK.addAddress('::', 'ipv6');

/**
 * Reads the variables. Lower case counts first, an empty value counts as absent. Each scheme has its own
 * variable: `HTTP_PROXY` does not apply to https. The values are checked when a URL needs them, so that a
 * foreign value does not keep a worker from its start.
 */
export function readProxies(environment: NodeJS.Dict<string> = process.env): ProxyRule {
  const first = (name: string): string => [name.toLowerCase(), name].find((one) => environment[one]?.trim()) ?? '';
  const isDirect = directHosts(environment[first('NO_PROXY')] ?? '');
  return (target) => {
    const variable = first(target.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY');
    if (variable === '' || isLoopback(target.hostname) || isDirect(target)) return undefined;
    return parseProxy(variable, environment[variable]?.trim() ?? '');
  };
}

/** The value of `Authorization: Basic` for the user and password of a URL; undefined if it has none. */
export function basicAuthorization({ username, password }: URL): string | undefined {
  if (username === '' && password === '') return undefined;
  return `Basic ${Buffer.from(`${decoded(username)}:${decoded(password)}`).toString('base64')}`;
}

/** A host and its port as they are written in a URL, with the default port. */
export function portOf({ port, protocol }: URL): number {
  return Number(port) || (protocol === 'https:' ? 443 : 80);
}

/** A host of a URL without brackets and the final dot; an IPv4 address in IPv6 form becomes IPv4. */
export function plainHost(hostname: string): string {
  const host = hostname
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '')
    .toLowerCase();
  const [, high = '', low = ''] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(host) ?? [];
  if (high === '') return host.replace(/^::ffff:(?=\d+\.)/, '');
  const [upper, lower] = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
  return [upper >> 8, upper & 255, lower >> 8, lower & 255].join('.');
}

/** True if a host of a URL, or an address, is this machine. */
export function isLoopback(hostname: string): boolean {
  const host = plainHost(hostname);
  return host === 'localhost' || host.endsWith('.localhost') || contains(LOOPBACK, host);
}

function contains(list: BlockList, host: string): boolean {
  const version = isIP(host);
  return version !== 0 && list.check(host, version === 4 ? 'ipv4' : 'ipv6');
}

function parseProxy(variable: string, value: string): HttpProxy {
  // Most tools accept a host and a port alone.
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.hostname === '' || url.hostname.length > MAX_HOST)
    throw new ConfigError(
      `${variable}: ${shorten(JSON.stringify(shownUrl(value)), MAX_SHOWN)} is not allowed; allowed: ${ALLOWED}; NO_PROXY names the hosts without a proxy`,
    );
  const authorization = basicAuthorization(url);
  const password = decoded(url.password);
  const bare = new URL(url.origin);
  return { variable, name: `${bare.protocol}//${bare.hostname}:${portOf(bare)}`, url: bare, authorization, password };
}

/** A percent sign that begins no code stays as it is. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * `NO_PROXY`: names and addresses, separated by commas or white space. `*` is every host. A name includes its
 * subdomains, with or without `.` or `*.` before it. A port limits an entry. A network is `address/bits`.
 */
function directHosts(list: string): (target: URL) => boolean {
  const networks = new BlockList();
  const names: { readonly host: string; readonly port: number | undefined }[] = [];
  for (const written of list.split(/[,\s]+/).filter(Boolean)) {
    // The zone of a link-local address: a URL has none.
    const entry = written.replace(/^(\[?[0-9a-f:.]+)%[^\]/]*/i, '$1');
    if (addNetwork(networks, entry)) continue;
    const [, name = entry, port] = (isIP(entry) === 6 ? null : /^(.+):(\d{1,5})$/.exec(entry)) ?? [];
    names.push({ host: asciiHost(name), port: port === undefined ? undefined : Number(port) });
  }
  return (target) => {
    const host = plainHost(target.hostname);
    const matches = (name: string): boolean => name === '*' || host === name || host.endsWith(`.${name}`);
    const named = names.some(
      (entry) => (entry.port === undefined || entry.port === portOf(target)) && matches(entry.host),
    );
    return named || contains(networks, host);
  };
}

/** Adds an entry such as `10.0.0.0/8`. Returns false for any other text. */
function addNetwork(networks: BlockList, entry: string): boolean {
  const [address = '', bits = '', ...more] = entry.split('/');
  const version = isIP(address);
  if (version === 0 || more.length > 0 || !/^\d{1,3}$/.test(bits) || Number(bits) > (version === 4 ? 32 : 128))
    return false;
  networks.addSubnet(address, Number(bits), version === 4 ? 'ipv4' : 'ipv6');
  return true;
}

/** A name as a URL has it. */
function asciiHost(name: string): string {
  if (name === '*') return name;
  const host = name.replace(/^\*?\./, '').replace(/^\[(.*)\]$/, '$1');
  // A URL has no zone, such as %eth0.
  if (isIP(host) === 6) return plainHost(new URL(`http://[${host.replace(/%.*$/, '')}]`).hostname);
  return plainHost(domainToASCII(host) || host);
}
