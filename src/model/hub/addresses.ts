/**
 * The network addresses that a pull may connect to. A hub on the internet must not send this machine to
 * services that only this machine or its network can reach. Addresses are checked when a connection is
 * opened, so a name that resolves differently the second time is checked too.
 */
import { type LookupAddress, lookup as systemLookup } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { PullError } from './pull-error.ts';

/** `inner`: this machine or a private network. `special`: link-local, multicast, unspecified, reserved. */
export type AddressClass = 'public' | 'inner' | 'special';

/** Loopback, private networks (RFC 1918, RFC 4193) and shared address space (RFC 6598). */
const INNER_NETWORKS: readonly string[] = [
  '127.0.0.0/8',
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  '::1/128',
  'fc00::/7',
];
/**
 * Networks of the registries of special addresses (RFC 6890) where no hub is. 198.18.0.0/15 is left out: VPN
 * clients use it as a stand-in for every public address.
 */
const SPECIAL_NETWORKS: readonly string[] = [
  '0.0.0.0/8',
  '169.254.0.0/16',
  '192.0.0.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '::/96',
  '64:ff9b:1::/48',
  '100::/64',
  '2001::/32',
  '2002::/16',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
];
const INNER = listOf(INNER_NETWORKS);
const SPECIAL = listOf(SPECIAL_NETWORKS);
/** NAT64 (RFC 6052): the last 32 bits are an IPv4 address. */
const NAT64 = /^64:ff9b::(?:(?:([0-9a-f]{1,4}):)?([0-9a-f]{1,4}))?$/;

/**
 * The class of an IP address; `special` for any other text. An IPv4 address in IPv6 form counts as the IPv4
 * address.
 */
export function classOfAddress(address: string): AddressClass {
  const [bare = ''] = address.split('%');
  const version = isIP(bare);
  if (version === 0) return 'special';
  const family = version === 4 ? 'ipv4' : 'ipv6';
  // The URL parser writes an address in its shortest form.
  const [, high = '0', low = '0'] =
    (version === 6 && NAT64.exec(new URL(`http://[${bare}]`).hostname.slice(1, -1))) || [];
  const [upper, lower] = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
  if (upper + lower > 0) return classOfAddress([upper >> 8, upper & 255, lower >> 8, lower & 255].join('.'));
  if (INNER.check(bare, family)) return 'inner';
  return SPECIAL.check(bare, family) ? 'special' : 'public';
}

function listOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', bits] = network.split('/');
    list.addSubnet(address, Number(bits), isIP(address) === 4 ? 'ipv4' : 'ipv6');
  }
  return list;
}

/**
 * Which addresses one hub may lead to, by redirects and by names. A hub at a public address: public ones. A
 * hub on this machine or in a private network, which the operator chose: public and inner ones. The first
 * address of the hub decides, so that a later answer of its name server cannot change the rule.
 */
export class AddressRule {
  readonly #hub: string;
  readonly #classOf: (address: string) => AddressClass;
  #isInner: boolean | undefined;

  constructor(endpoint: string, classOf = classOfAddress) {
    this.#hub = bareHost(new URL(endpoint).hostname);
    this.#classOf = classOf;
    if (isIP(this.#hub) !== 0) this.#isInner = classOf(this.#hub) !== 'public';
  }

  /**
   * Checks the host of a URL that is an address itself; `lookup` checks names. The URL parser has already
   * turned forms such as 0x7f.1 and 2130706433 into plain addresses.
   * @throws PullError
   */
  checkHost(hostname: string): void {
    const host = bareHost(hostname);
    if (isIP(host) !== 0) this.#allowed(host, [{ address: host, family: isIP(host) }]);
  }

  /** Resolves a name and leaves out the addresses that are not allowed; for `http.request`. */
  readonly lookup: LookupFunction = (hostname, options, callback) => {
    systemLookup(hostname, { ...options, all: true }, (error, found) => {
      if (error) return callback(error, '', 0);
      let allowed: [LookupAddress, ...LookupAddress[]];
      try {
        allowed = this.#allowed(hostname, found);
      } catch (refusal) {
        return callback(refusal as Error, '', 0);
      }
      const [first] = allowed;
      if (options.all === true) callback(null, allowed);
      else callback(null, first.address, first.family);
    });
  };

  #allowed(host: string, addresses: readonly LookupAddress[]): [LookupAddress, ...LookupAddress[]] {
    const isHub = host === this.#hub;
    if (isHub) this.#isInner ??= addresses.every(({ address }) => this.#classOf(address) !== 'public');
    const [first, ...more] = addresses.filter(({ address }) => {
      const kind = this.#classOf(address);
      return kind === 'public' || (this.#isInner === true && (isHub || kind === 'inner'));
    });
    if (first !== undefined) return [first, ...more];
    const refused = addresses[0]?.address ?? 'no address';
    const place = host === refused ? host : `${host} (${refused})`;
    const rule =
      this.#isInner === true
        ? 'a link-local, multicast or reserved address, where no hub is'
        : `an address of this machine, of a private network or a reserved one, but ${this.#hub} is a public host`;
    throw new PullError(
      `The hub leads to ${place}, ${rule}: refused. If you trust this place, set HF_ENDPOINT to a hub inside your network.`,
    );
  }
}

/** A host without the brackets of an IPv6 address in a URL. */
function bareHost(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, '$1');
}
