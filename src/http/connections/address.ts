/**
 * The address of a client, and the group of addresses that count as one client. Pure.
 */

/** Number of 16-bit groups of an IPv6 address that name a network: providers assign at least a /64. */
const NETWORK_GROUPS = 4;

/** The address of the peer, an IPv4 address in its own form; empty if the peer has already left. */
export const clientAddress = ({ remoteAddress = '' }: { remoteAddress?: string | undefined }): string =>
  remoteAddress.replace(/^::ffff:(?=\d+\.)/i, '');

/**
 * The part of an address that one client cannot change: an IPv4 address, or the /64 of an IPv6 address. Any
 * other text is its own group.
 */
export function addressGroup(address: string): string {
  if (!address.includes(':')) return address;
  const [head = '', tail] = (address.split('%')[0] ?? '').split('::');
  const leading = head === '' ? [] : head.split(':');
  const trailing = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - leading.length - trailing.length);
  const groups = [...leading, ...Array<string>(zeros).fill('0'), ...trailing];
  return `${groups.slice(0, NETWORK_GROUPS).join(':')}::/64`;
}
