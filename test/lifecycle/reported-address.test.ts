/** The address in a report, and the warning about an address that the pool-manager cannot reach. */
import { describe, expect, test } from 'vitest';
import { type AddressSources, ReportedAddress } from '../../src/lifecycle/callback/reported-address.ts';
import { capture } from '../../src/narration/narrate.ts';

const LOCAL = { address: '127.0.0.1', port: 8080 };
const SOURCES: AddressSources = {
  callbackUrl: 'http://manager.example/ready',
  advertiseUrl: undefined,
  bound: LOCAL,
  url: 'http://127.0.0.1:8080',
  isProxied: false,
};
const REMOTE = { localAddress: '192.0.2.7', remoteAddress: '192.0.2.1' };

/** The reported URL of two reports, and the narrated events. */
async function reported(changes: Partial<AddressSources>, connection = REMOTE) {
  const address = new ReportedAddress({ ...SOURCES, ...changes });
  const { result, narrations } = await capture(() => [address.at(connection), address.at(connection)]);
  return { urls: result, events: narrations.map(({ event }) => event) };
}

describe('a loopback address is warned about once', () => {
  test.each<[string, Partial<AddressSources>]>([
    ['127.0.0.1', {}],
    ['::1', { bound: { address: '::1', port: 8080 }, url: 'http://[::1]:8080' }],
    ['localhost', { url: 'http://localhost:8080' }],
  ])('%s, if the pool-manager is on another machine', async (_, changes) => {
    const { urls, events } = await reported(changes);
    const url = changes.url ?? SOURCES.url;
    expect([urls, events]).toEqual([[url, url], ['callback.unreachable']]);
  });

  test('if a proxy leads to the pool-manager, also one on this machine', async () => {
    const connection = { localAddress: '127.0.0.1', remoteAddress: '127.0.0.1' };
    expect((await reported({ isProxied: true }, connection)).events).toEqual(['callback.unreachable']);
  });

  test.each([
    ['is reached over loopback', { localAddress: '127.0.0.1', remoteAddress: '127.0.0.1' }],
    ['is reached over loopback of IPv6', { localAddress: '::1', remoteAddress: '::1' }],
    [
      'is reached over loopback in the form of IPv6',
      { localAddress: '::ffff:127.0.0.1', remoteAddress: '::ffff:127.0.0.1' },
    ],
    ['has the same address as the worker', { localAddress: '192.0.2.7', remoteAddress: '192.0.2.7' }],
  ])('but not if the pool-manager %s', async (_, connection) => {
    expect((await reported({}, connection)).events).toEqual([]);
  });

  test('but not an address that the operator has set', async () => {
    const advertiseUrl = 'http://localhost:9000';
    expect(await reported({ advertiseUrl })).toEqual({ urls: [advertiseUrl, advertiseUrl], events: [] });
  });
});

test('a worker on all addresses reports the address of its connection, narrated once', async () => {
  const bound = { address: '0.0.0.0', port: 8080 };
  const { urls, events } = await reported({ bound, url: 'http://0.0.0.0:8080' });
  expect(urls).toEqual(['http://192.0.2.7:8080', 'http://192.0.2.7:8080']);
  expect(events).toEqual(['callback.address']);
});
