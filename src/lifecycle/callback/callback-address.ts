/**
 * The address of the worker in the ready callback, if it listens on all addresses: `0.0.0.0` and `::` name no
 * machine, so the worker reports the address that its own connection has. Pure, except for the list of the
 * addresses of this machine.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { isLoopback, plainHost } from '../../config/network/proxy-settings.ts';

const ALL_ADDRESSES: ReadonlySet<string> = new Set(['0.0.0.0', '::', '::ffff:0.0.0.0']);

/** The bound address of the HTTP server. */
export interface BoundAddress {
  readonly address: string;
  readonly port: number;
}

/** True if a server that listens here is reachable at every address of the machine. */
export const isEveryAddress = ({ address }: BoundAddress): boolean => ALL_ADDRESSES.has(address);

export interface ReachOptions {
  /** True if the connection leads to a proxy. */
  readonly isProxied?: boolean;
  /** The addresses by which other machines can reach this one; replaced by tests. */
  readonly ownAddresses?: () => readonly string[];
}

/**
 * The URL of a worker that listens on all addresses.
 * @param localAddress of the connection to the pool-manager, or to the proxy on the way
 * @returns undefined if the worker has no address that fits: it listens on IPv4 only, and has no IPv4 address
 */
export function reachableUrl(
  { address, port }: BoundAddress,
  localAddress: string,
  { isProxied = false, ownAddresses = addressesOfMachine }: ReachOptions = {},
): string | undefined {
  // The zone of a link-local address has no meaning on another machine.
  const local = plainHost(localAddress.replace(/%.*$/, ''));
  const urlOf = (host: string): string => `http://${isIPv6(host) ? `[${host}]` : host}:${port}`;
  // A proxy is never used for this machine: behind one on this machine, the pool-manager is on another.
  const isUseful = isIPv4(local) || (address === '::' && isIPv6(local));
  if (isUseful && !(isProxied && isLoopback(local))) return urlOf(local);
  const own = ownAddresses().find(isIPv4);
  if (own !== undefined) return urlOf(own);
  return isUseful ? urlOf(local) : undefined;
}

/** Empty if the system does not list them, for example without a free file descriptor. */
function addressesOfMachine(): string[] {
  try {
    const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
    return all.filter(({ internal }) => !internal).map(({ address }) => address);
  } catch {
    return [];
  }
}
