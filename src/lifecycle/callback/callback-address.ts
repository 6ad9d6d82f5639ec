/**
 * The address of the worker in the ready callback, if it listens on all addresses: `0.0.0.0` and `::` name no
 * machine, so the worker reports the address that its own connection has. Pure, except for the list of the
 * addresses of this machine.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { plainHost } from '../../config/network/proxy-settings.ts';

const ALL_ADDRESSES: ReadonlySet<string> = new Set(['0.0.0.0', '::', '::ffff:0.0.0.0']);

/** The bound address of the HTTP server. */
export interface BoundAddress {
  readonly address: string;
  readonly port: number;
}

/** True if a server that listens here is reachable at every address of the machine. */
export const isEveryAddress = ({ address }: BoundAddress): boolean => ALL_ADDRESSES.has(address);

/**
 * The URL of a worker that listens on all addresses.
 * @param localAddress of the connection to the pool-manager, or to the proxy on the way
 * @returns undefined if the worker has no address that fits: it listens on IPv4 only, and has no IPv4 address
 */
export function reachableUrl(
  { address, port }: BoundAddress,
  localAddress: string,
  ownAddresses: () => readonly string[] = addressesOfMachine,
): string | undefined {
  // The zone of a link-local address has no meaning on another machine.
  const local = plainHost(localAddress.replace(/%.*$/, ''));
  if (isIPv4(local)) return `http://${local}:${port}`;
  if (address === '::' && isIPv6(local)) return `http://[${local}]:${port}`;
  const own = ownAddresses().find(isIPv4);
  return own === undefined ? undefined : `http://${own}:${port}`;
}

/** The addresses by which other machines can reach this one. */
function addressesOfMachine(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return all.filter(({ internal }) => !internal).map(({ address }) => address);
}
