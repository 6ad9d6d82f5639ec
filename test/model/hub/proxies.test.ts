/** Requests to a hub through proxies that do not answer, and the rule for addresses behind a proxy. */
import { afterEach, expect, test } from 'vitest';
import { readProxies } from '../../../src/config/network/proxy-settings.ts';
import { Connection, RETRY_POLICY } from '../../../src/model/hub/connection.ts';
import { readRepository } from '../../../src/model/hub/repository.ts';
import { ForwardProxy } from '../../support/forward-proxy.ts';
import { text } from '../../support/hub-models.ts';
import { HubServer } from '../../support/hub-server.ts';
import { reasonOf } from '../folders.ts';

const REFERENCE = { repo: 'org/m', folder: '', revision: 'main' };
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function startHub(): Promise<HubServer> {
  const hub = await HubServer.start({ 'org/m': { files: { a: text('a') } } });
  closers.push(() => hub.close());
  return hub;
}

async function startProxy(...args: Parameters<typeof ForwardProxy.start>): Promise<ForwardProxy> {
  const proxy = await ForwardProxy.start(...args);
  closers.push(() => proxy.close());
  return proxy;
}

/** A connection to `http://hub.test`, or another endpoint, with these variables. */
function connect(environment: Readonly<Record<string, string>>, endpoint = 'http://hub.test') {
  const reported: string[] = [];
  const policy = { ...RETRY_POLICY, stallMs: 400, tries: 2, backoffMs: 1 };
  const access = { endpoint, token: undefined, proxyFor: readProxies(environment) };
  return { reported, connection: new Connection(access, REFERENCE, (sentence) => reported.push(sentence), policy) };
}

test('a proxy that cannot be reached is named without its password, with the variable and the way around it', async () => {
  const proxy = await startProxy({});
  const { port } = proxy;
  proxy.close();
  const { connection } = connect({ http_proxy: `http://fleet:never-shown@127.0.0.1:${port}` });
  expect(String(await reasonOf(readRepository(connection, REFERENCE)))).toBe(
    `PullError: the list of files could not be downloaded: the proxy http://127.0.0.1:${port} cannot be reached (ECONNREFUSED): check http_proxy, or add hub.test to NO_PROXY (2 tries).`,
  );
});

test('a proxy that answers nothing does not hold up the next try', async () => {
  const proxy = await startProxy({}, { silent: true });
  const { connection, reported } = connect({ HTTPS_PROXY: proxy.url }, 'https://hub.test');
  expect(String(await reasonOf(readRepository(connection, REFERENCE)))).toMatch(
    /received no data for 0\.4 s \(2 tries\)/,
  );
  expect(reported).toHaveLength(1);
  expect(proxy.seen).toEqual(['CONNECT hub.test:443', 'CONNECT hub.test:443']);
});

test('a proxy that knows no way to the hub is asked again, and named', async () => {
  const proxy = await startProxy({});
  const { connection } = connect({ HTTPS_PROXY: proxy.url }, 'https://hub.test');
  expect(String(await reasonOf(readRepository(connection, REFERENCE)))).toMatch(
    /the proxy http:\S+ answers 502 for hub\.test/,
  );
  expect(proxy.seen).toHaveLength(2);
});

test('a status of the hub names the proxy on the way', async () => {
  const hub = await startHub();
  hub.names = { hub: 'http://hub.test', cdn: 'http://cdn.test' };
  hub.answer({ status: 500, body: '' }, { status: 500, body: '' });
  const proxy = await startProxy({ 'hub.test:80': Number(new URL(hub.url).port) });
  const { connection } = connect({ HTTP_PROXY: proxy.url });
  expect(String(await reasonOf(readRepository(connection, REFERENCE)))).toContain(
    `hub.test (through the proxy ${proxy.url}) answers 500`,
  );
});

test('a host of NO_PROXY is reached directly', async () => {
  const proxy = await startProxy({});
  const { connection } = connect({ HTTP_PROXY: proxy.url, NO_PROXY: '.test' });
  expect(String(await reasonOf(readRepository(connection, REFERENCE)))).toMatch(/hub\.test cannot be reached \(E/);
  expect(proxy.seen).toEqual([]);
});

test.each(['http://169.254.169.254/latest', 'http://10.0.0.1/x', 'http://[::ffff:10.0.0.1]/x', 'http://127.0.0.1/x'])(
  'a hub behind a proxy cannot redirect to the inner address %s',
  async (location) => {
    const hub = await startHub();
    hub.answer({ status: 302, headers: { location }, body: '' });
    const proxy = await startProxy({ 'hub.test:80': Number(new URL(hub.url).port) });
    const { connection } = connect({ HTTP_PROXY: proxy.url });
    expect(String(await reasonOf(readRepository(connection, REFERENCE)))).toMatch(/The hub leads to .*: refused/);
    expect(proxy.seen).toHaveLength(1);
  },
);

test('two proxies with one address have their own users', async () => {
  const hub = await startHub();
  hub.answer({ status: 302, headers: { location: 'https://other.test/x' }, body: '' });
  const hosts = { 'hub.test:80': Number(new URL(hub.url).port) };
  const proxy = await startProxy(hosts, { credentials: 'fleet:never-shown' });
  const HTTP_PROXY = proxy.url.replace('//', '//fleet:never-shown@');
  const { connection } = connect({ HTTP_PROXY, HTTPS_PROXY: proxy.url });
  expect(String(await reasonOf(readRepository(connection, REFERENCE)))).toMatch(
    /requires a user and a password \(407\): put both into the URL in HTTPS_PROXY/,
  );
});
