/** Addresses of clients: their form in reports, and the group that counts as one client. */
import { expect, test } from 'vitest';
import { addressGroup, clientAddress } from '../../../src/http/connections/address.ts';

test.each([
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['192.0.2.7', '192.0.2.7'],
  ['2001:db8::1', '2001:db8::1'],
  [undefined, ''],
])('%s is reported as %s', (remoteAddress, shown) => {
  expect(clientAddress({ remoteAddress })).toBe(shown);
});

test.each([
  ['192.0.2.7', '192.0.2.7'],
  ['::1', '0:0:0:0::/64'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8::5:6', '2001:db8:0:0::/64'],
  ['2001:db8:1:2::', '2001:db8:1:2::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['', ''],
])('%s belongs to %s', (address, group) => {
  expect(addressGroup(address)).toBe(group);
});
