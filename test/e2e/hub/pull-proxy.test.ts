/** `pull` through real proxies: tunnels, absolute-form requests, refusals, and hosts without a proxy. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ForwardProxy, type ProxyBehaviour } from '../../support/forward-proxy.ts';
import { LARGE, Puller, WEIGHTS_FILE } from '../../support/hub-models.ts';
import { HubServer } from '../../support/hub-server.ts';
import { CERTIFICATE_FILE, TlsFront } from '../../support/tls.ts';

const portOf = (url: string): number => Number(new URL(url).port);

let hub: HubServer;
let [hubTls, cdnTls]: TlsFront[] = [];
let me: Puller;
let proxy: ForwardProxy | undefined;
beforeAll(async () => {
  hub = await HubServer.start({ 'org/large': { files: LARGE } });
  hubTls = await TlsFront.start(portOf(hub.url));
  cdnTls = await TlsFront.start(portOf(hub.cdnUrl));
});
afterAll(async () => {
  hubTls?.close();
  cdnTls?.close();
  await hub.close();
});
beforeEach(async () => {
  hub.names = undefined;
  me = await Puller.at(hub);
});
afterEach(() => proxy?.close());

/** A proxy that knows the hub and its CDN by names that no name server has. */
async function start(behaviour?: ProxyBehaviour): Promise<ForwardProxy> {
  proxy = await ForwardProxy.start(
    {
      'hub.test:80': portOf(hub.url),
      'cdn.test:80': portOf(hub.cdnUrl),
      'hub.test:443': hubTls?.port ?? 0,
      'cdn.test:443': cdnTls?.port ?? 0,
    },
    behaviour,
  );
  return proxy;
}

function pullFrom(scheme: 'http' | 'https', environment: Readonly<Record<string, string>>) {
  hub.names = { hub: `${scheme}://hub.test`, cdn: `${scheme}://cdn.test` };
  return me.pull(['org/large'], { HF_ENDPOINT: hub.names.hub, NODE_EXTRA_CA_CERTS: CERTIFICATE_FILE, ...environment });
}

describe('a pull through a proxy', () => {
  test.each(['HTTPS_PROXY', 'https_proxy'])('%s: tunnels to an https hub and to its CDN', async (variable) => {
    const { url, seen } = await start();
    const { code, stderr } = await pullFrom('https', { [variable]: url });
    expect([code, stderr]).toEqual([0, expect.stringContaining(WEIGHTS_FILE)]);
    expect(new Set(seen)).toEqual(new Set(['CONNECT hub.test:443', 'CONNECT cdn.test:443']));
    expect(hub.triesOf(WEIGHTS_FILE)).toHaveLength(1);
  });

  test.each(['HTTP_PROXY', 'http_proxy'])('%s: sends whole URLs to an http hub and to its CDN', async (variable) => {
    const { url, seen } = await start();
    expect((await pullFrom('http', { [variable]: url.replace('http://', '') })).code).toBe(0);
    expect(seen.filter((line) => !/^GET http:\/\/(?:hub|cdn)\.test\//.test(line))).toEqual([]);
    expect(seen.filter((line) => line.startsWith('GET http://cdn.test/'))).toHaveLength(1);
  });

  test('that speaks TLS', async () => {
    const { url, seen } = await start({ tls: true });
    const { code, stderr } = await pullFrom('https', { HTTPS_PROXY: url });
    expect([code, stderr]).toEqual([0, expect.not.stringMatching(/warning/i)]);
    expect(seen).toContain('CONNECT hub.test:443');
  });

  test.each(['http', 'https'] as const)('sends its user and password over %s, and prints neither', async (scheme) => {
    const { port, seen } = await start({ credentials: 'fleet:pass word/1' });
    const url = `http://fleet:pass%20word%2F1@127.0.0.1:${port}`;
    const { code, stdout, stderr } = await pullFrom(scheme, { HTTPS_PROXY: url, HTTP_PROXY: url });
    expect(code).toBe(0);
    expect(seen.length).toBeGreaterThan(1);
    expect(stdout + stderr).not.toMatch(/pass word|pass%20word|fleet/);
  });

  test('resumes a broken transfer', async () => {
    const { url } = await start();
    hub.fail(WEIGHTS_FILE, { cut: 700_000 });
    const { code, stderr } = await pullFrom('https', { HTTPS_PROXY: url });
    expect([code, stderr]).toEqual([0, expect.stringMatching(/the proxy http:\/\/127\.0\.0\.1:\d+\) broke \(/)]);
    expect(hub.triesOf(WEIGHTS_FILE).map(({ range }) => range)).toEqual([
      undefined,
      expect.stringMatching(/^bytes=[1-9]\d*-$/),
    ]);
  });
});

describe('a proxy that refuses', () => {
  test.each(['http', 'https'] as const)(
    'without a password, over %s: the pull names proxy and remedy, and ends',
    async (scheme) => {
      const { port, seen } = await start({ credentials: 'fleet:right-password' });
      const url = `http://fleet:wrong-password@127.0.0.1:${port}`;
      const { code, stderr } = await pullFrom(scheme, { HTTPS_PROXY: url, HTTP_PROXY: url });
      const variable = scheme === 'http' ? 'HTTP_PROXY' : 'HTTPS_PROXY';
      expect([code, stderr]).toEqual([
        1,
        `rbees-workerd: The proxy http://127.0.0.1:${port} requires a user and a password (407): put both into the URL in ${variable}.\n`,
      ]);
      expect(seen).toHaveLength(1);
    },
  );

  test('with 403: the pull ends without another try', async () => {
    const { url, seen } = await start({ status: 403 });
    const { code, stderr } = await pullFrom('https', { HTTPS_PROXY: url });
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining(`The proxy ${url} answers 403 for hub.test: ask its operator to allow the host, or add`),
    ]);
    expect(seen).toHaveLength(1);
  });

  test.each([
    ['socks5://proxy.test:1080', '"socks5://proxy.test:1080"'],
    ['http://fleet:secret@', '"http://[REDACTED]@"'],
    ['http://fleet:secret@proxy.test:99999', '"http://[REDACTED]@proxy.test:99999"'],
  ])('to be one: %s exits 2 with the variable and without its secrets', async (value, shown) => {
    const { code, stderr } = await pullFrom('https', { HTTPS_PROXY: value });
    expect([code, stderr]).toEqual([
      2,
      expect.stringContaining(`HTTPS_PROXY: ${shown} is not allowed; allowed: an http or https URL of a proxy`),
    ]);
    expect(stderr).not.toContain('secret');
  });
});

describe('without a proxy', () => {
  test('offline, a value that is no proxy is not read', async () => {
    const { code, stderr } = await pullFrom('https', { HTTPS_PROXY: 'socks5://proxy.test:1080', HF_HUB_OFFLINE: '1' });
    expect([code, stderr]).toEqual([1, expect.stringContaining('HF_HUB_OFFLINE is set')]);
  });

  test('loopback is reached, whatever the variables say', async () => {
    const { url, seen } = await start();
    const { code } = await me.pull(['org/large'], { HTTP_PROXY: url, HTTPS_PROXY: url, NO_PROXY: 'example.com' });
    expect([code, seen]).toEqual([0, []]);
  });
});
