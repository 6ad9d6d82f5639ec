/**
 * The ready callback through proxies and with TLS, and the address that it reports: real workers and
 * servers.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterEach, describe, expect, test } from 'vitest';
import { ForwardProxy, type ProxyBehaviour } from '../../support/forward-proxy.ts';
import { CERTIFICATE_FILE, TlsFront } from '../../support/tls.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

interface Call {
  readonly url: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

const closers: (() => void)[] = [];
let worker: TestWorker | undefined;
afterEach(async () => {
  await worker?.kill();
  worker = undefined;
  for (const close of closers.splice(0)) close();
});

/** A pool-manager that accepts every report. */
async function startManager(address = '127.0.0.1') {
  const calls: Call[] = [];
  const server: Server = createServer(async (request, response) => {
    let body = '';
    for await (const part of request.setEncoding('utf8')) body += part;
    calls.push({ url: request.url ?? '', headers: request.headers, body });
    response.end();
  });
  server.listen(0, address);
  await once(server, 'listening');
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { calls, port: (server.address() as AddressInfo).port };
}

async function startProxy(hosts: Readonly<Record<string, number>>, behaviour?: ProxyBehaviour): Promise<ForwardProxy> {
  const proxy = await ForwardProxy.start(hosts, behaviour);
  closers.push(() => proxy.close());
  return proxy;
}

async function startFront(port: number): Promise<TlsFront> {
  const front = await TlsFront.start(port);
  closers.push(() => front.close());
  return front;
}

const uriOf = (call: Call | undefined): unknown => (JSON.parse(call?.body ?? '{}') as { uri?: unknown }).uri;

describe('a callback through a proxy', () => {
  test('reaches an http pool-manager with the whole URL, as one body with its length', async () => {
    const { calls, port } = await startManager();
    const proxy = await startProxy({ 'manager.test:8000': port }, { credentials: 'fleet:proxy-password' });
    const { port: proxyPort } = proxy;
    worker = await startWorker({
      args: ['--callback-url', 'http://me:my-password@manager.test:8000/ready?pool=a%20b'],
      env: { HTTP_PROXY: `http://fleet:proxy-password@127.0.0.1:${proxyPort}` },
    });
    const ready = await worker.line('callback.ready');
    expect(proxy.seen).toEqual(['POST http://manager.test:8000/ready?pool=a%20b']);
    expect(calls).toHaveLength(1);
    const [call] = calls;
    expect(call?.url).toBe('/ready?pool=a%20b');
    expect(call?.headers).toMatchObject({
      host: 'manager.test:8000',
      authorization: `Basic ${btoa('me:my-password')}`,
      'content-length': String(call?.body.length),
      'x-correlation-id': ready['correlation_id'],
    });
    expect(uriOf(call)).toBe(worker.url);
    expect(worker.lines.filter(({ event }) => event === 'callback.unreachable')).toMatchObject([
      { level: 'WARN', uri: worker.url, human: expect.stringMatching(/^Set --advertise-url, or --host /) },
    ]);
    expect(ready['url']).toBe('http://[REDACTED]@manager.test:8000/ready?[REDACTED]');
    expect(worker.stdout + worker.stderr).not.toMatch(/password|a%20b/);
  });

  test.each([false, true])('reaches an https pool-manager through a tunnel; TLS to the proxy: %s', async (tls) => {
    const { calls, port } = await startManager();
    const proxy = await startProxy({ 'hub.test:443': (await startFront(port)).port }, { tls });
    worker = await startWorker({
      args: ['--callback-url', 'https://hub.test/ready', '--callback-token', 'token-of-the-manager'],
      env: { HTTPS_PROXY: proxy.url, NODE_EXTRA_CA_CERTS: CERTIFICATE_FILE },
    });
    await worker.line('callback.ready');
    expect([proxy.seen, calls.map(({ url }) => url)]).toEqual([['CONNECT hub.test:443'], ['/ready']]);
    expect([proxy.tunnelCredentials, calls[0]?.headers['authorization']]).toEqual([
      [undefined],
      'Bearer token-of-the-manager',
    ]);
    expect(worker.stderr).not.toMatch(/warning/i);
  });

  test('names a proxy that refuses or cannot be reached, never its password', async () => {
    const proxy = await startProxy({}, { status: 403 });
    worker = await startWorker({
      args: ['--callback-url', 'https://manager.test/ready'],
      env: { HTTPS_PROXY: proxy.url.replace('//', '//fleet:never-shown@') },
    });
    const refused = await worker.line('callback.failed');
    expect(refused['reason']).toMatch(
      /^the proxy http:\/\/127\.0\.0\.1:\d+ answers 403 for manager\.test: ask its operator/,
    );
    const { url } = proxy;
    proxy.close();
    const closed = await worker.line('callback.failed', (line) => Number(line['attempt']) > 1);
    expect(closed['reason']).toBe(`connection refused, through the proxy ${url}`);
    expect(worker.stdout + worker.stderr).not.toContain('never-shown');
  });

  test('is not used for this machine', async () => {
    const { calls, port } = await startManager();
    const proxy = await startProxy({});
    worker = await startWorker({
      args: ['--callback-url', `http://127.0.0.1:${port}/ready`],
      env: { HTTP_PROXY: proxy.url, http_proxy: proxy.url, HTTPS_PROXY: proxy.url },
    });
    await worker.line('callback.ready');
    expect([calls.length, proxy.seen]).toEqual([1, []]);
    expect(worker.lines.map(({ event }) => event)).not.toContain('callback.unreachable');
  });
});

test('a wrong proxy URL ends the start with exit 2 if the callback needs it, and not otherwise', async () => {
  const { port } = await startManager();
  const { runCli } = await import('../../support/cli.ts');
  const env = { HTTPS_PROXY: 'socks5://fleet:never-shown@proxy.test:1080' };
  const { code, stderr } = await runCli(['--port', '0', '--callback-url', 'https://manager.test/ready'], { env });
  expect([code, stderr]).toEqual([
    2,
    expect.stringMatching(/HTTPS_PROXY: "socks5:\/\/\[REDACTED\]@proxy\.test:1080" is not allowed/),
  ]);
  worker = await startWorker({ args: ['--callback-url', `http://127.0.0.1:${port}/ready`], env });
  await worker.line('callback.ready');
});

describe('a callback over TLS', () => {
  test('is one attempt if the certificate is not trusted, and the reason begins with the remedy', async () => {
    const { calls, port } = await startManager();
    const front = await startFront(port);
    worker = await startWorker({ args: ['--callback-url', `https://localhost:${front.port}/ready`], early: true });
    const failed = await worker.line('callback.failed');
    expect(failed).toMatchObject({
      level: 'FATAL',
      attempt: 1,
      reason: `set NODE_EXTRA_CA_CERTS to the PEM file of your certificate authority: the certificate of localhost:${front.port} is not trusted (DEPTH_ZERO_SELF_SIGNED_CERT)`,
    });
    expect(failed.human).toContain('set NODE_EXTRA_CA_CERTS to the PEM file');
    expect((await worker.exited).code).toBe(1);
    expect([front.connections, calls]).toEqual([1, []]);
  });

  test('arrives with NODE_EXTRA_CA_CERTS', async () => {
    const { calls, port } = await startManager();
    const front = await startFront(port);
    worker = await startWorker({
      args: ['--callback-url', `https://localhost:${front.port}/ready`],
      env: { NODE_EXTRA_CA_CERTS: CERTIFICATE_FILE },
    });
    await worker.line('callback.ready');
    expect(calls).toHaveLength(1);
  });
});

describe('a worker on all addresses', () => {
  const OPEN = ['--allow-unauthenticated'];

  test.each([
    ['0.0.0.0', '127.0.0.1', '127.0.0.1'],
    ['::', '127.0.0.1', '127.0.0.1'],
    ['::', '::1', '[::1]'],
  ])('(%s) reports the local address of its connection to %s, and narrates it', async (host, manager, local) => {
    const { calls, port } = await startManager(manager);
    const place = manager.includes(':') ? `[${manager}]` : manager;
    worker = await startWorker({ args: ['--host', host, ...OPEN, '--callback-url', `http://${place}:${port}/ready`] });
    const bound = await worker.line('server.bound');
    await worker.line('callback.ready');
    const uri = `http://${local}:${String(bound['address']).split(':').at(-1)}`;
    expect(uriOf(calls[0])).toBe(uri);
    expect(worker.lines.find(({ event }) => event === 'callback.address')).toMatchObject({ uri, level: 'INFO' });
    expect((await fetch(`${uri}/live`)).status).toBe(200);
  });

  test('behind a proxy of this machine reports another address of the machine, if it has one', async () => {
    const { calls, port } = await startManager();
    const proxy = await startProxy({ 'manager.test:80': port });
    worker = await startWorker({
      args: ['--host', '0.0.0.0', ...OPEN, '--callback-url', 'http://manager.test/ready'],
      env: { HTTP_PROXY: proxy.url },
    });
    await worker.line('callback.ready');
    const own = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
    const other = own.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1';
    expect(uriOf(calls[0])).toBe(`http://${other}:${new URL(worker.url).port}`);
  });

  test('reports --advertise-url as it is, without that narration', async () => {
    const { calls, port } = await startManager();
    const advertised = 'https://workers.example/7';
    const args = ['--host', '0.0.0.0', ...OPEN, '--callback-url', `http://127.0.0.1:${port}/ready`];
    worker = await startWorker({ args: [...args, '--advertise-url', advertised] });
    await worker.line('callback.ready');
    expect(uriOf(calls[0])).toBe(advertised);
    expect(worker.lines.map(({ event }) => event)).not.toContain('callback.address');
  });
});
