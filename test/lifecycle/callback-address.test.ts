/** The address that a worker on all addresses reports. */
import { expect, test } from 'vitest';
import { isEveryAddress, reachableUrl } from '../../src/lifecycle/callback/callback-address.ts';

const ownAddresses = (): string[] => ['fd00::5', '192.0.2.9'];

test.each([
  ['0.0.0.0', '192.0.2.7', 'http://192.0.2.7:81'],
  ['0.0.0.0', '::ffff:192.0.2.7', 'http://192.0.2.7:81'],
  ['::', '::ffff:192.0.2.7', 'http://192.0.2.7:81'],
  ['::', '::ffff:c000:207', 'http://192.0.2.7:81'],
  ['::', '2001:db8::7', 'http://[2001:db8::7]:81'],
  ['::', 'fe80::7%eth0', 'http://[fe80::7]:81'],
  // Nothing listens on the IPv6 address of the connection.
  ['0.0.0.0', '2001:db8::7', 'http://192.0.2.9:81'],
])('on %s with a connection from %s: %s', (address, local, url) => {
  expect(reachableUrl({ address, port: 81 }, local, { ownAddresses })).toBe(url);
});

test('is unknown if the worker has no address of the right family', () => {
  expect(
    reachableUrl({ address: '0.0.0.0', port: 81 }, '2001:db8::7', { ownAddresses: () => ['fd00::5'] }),
  ).toBeUndefined();
});

test.each([
  ['0.0.0.0', '127.0.0.1', ['192.0.2.9'], 'http://192.0.2.9:81'],
  ['::', '::1', ['192.0.2.9'], 'http://192.0.2.9:81'],
  ['0.0.0.0', '192.0.2.7', ['192.0.2.9'], 'http://192.0.2.7:81'],
  // No better address is known.
  ['0.0.0.0', '127.0.0.1', [], 'http://127.0.0.1:81'],
])('on %s, behind a proxy that is reached from %s, with the own addresses %j: %s', (address, local, own, url) => {
  expect(reachableUrl({ address, port: 81 }, local, { isProxied: true, ownAddresses: () => own })).toBe(url);
  expect(reachableUrl({ address: '::', port: 81 }, '::1', { ownAddresses: () => own })).toBe('http://[::1]:81');
});

test.each([
  ['0.0.0.0', true],
  ['::', true],
  ['::ffff:0.0.0.0', true],
  ['127.0.0.1', false],
  ['::1', false],
])('%s is every address: %s', (address, every) => {
  expect(isEveryAddress({ address, port: 1 })).toBe(every);
});
