/** The addresses that a pull may connect to. */
import type { lookup as systemLookup } from 'node:dns';
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, isIP } from 'node:net';
import { promisify } from 'node:util';
import { afterEach, describe, expect, test } from 'vitest';
import { type AddressClass, AddressRule, classOfAddress } from '../../../src/model/hub/addresses.ts';
import { Connection, RETRY_POLICY } from '../../../src/model/hub/connection.ts';
import { readRepository } from '../../../src/model/hub/repository.ts';
import { download } from '../../../src/model/hub/transfer.ts';
import { COMMIT } from '../../support/hub-server.ts';
import { reasonOf } from '../folders.ts';

describe('the class of an address', () => {
  test.each<[AddressClass, string[]]>([
    ['public', ['1.1.1.1', '9.255.255.255', '11.0.0.0', '172.15.255.255', '172.32.0.0', '192.167.0.1', '198.18.0.7']],
    ['public', ['100.63.255.255', '100.128.0.0', '169.253.1.1', '223.255.255.255', '2606:4700::1111', '2a00::1']],
    ['public', ['::ffff:8.8.8.8', '64:ff9b::808:808', '64:ff9b::8.8.8.8']],
    ['inner', ['127.0.0.1', '127.255.255.254', '10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1']],
    ['inner', ['100.64.0.1', '100.127.255.255', '::1', 'fc00::1', 'fdff::1']],
    ['inner', ['::ffff:127.0.0.1', '::ffff:7f00:1', '::ffff:10.1.2.3', '64:ff9b::7f00:1', '64:ff9b::192.168.0.1']],
    ['special', ['0.0.0.0', '0.1.2.3', '169.254.169.254', '224.0.0.1', '255.255.255.255', '192.0.0.1', '240.0.0.1']],
    ['special', ['::', '::7f00:1', '::127.0.0.1', 'fe80::1', 'fe80::1%eth0', 'febf::1', 'fec0::1', 'ff02::1']],
    ['special', ['2002:7f00:1::', '2001:0:1::', '64:ff9b:1::1', '::ffff:169.254.169.254', '64:ff9b::a9fe:a9fe']],
    ['special', ['', 'localhost', '127.1', '0x7f000001', '2130706433']],
  ])('is %s for %j', (kind, addresses) => {
    expect(Object.fromEntries(addresses.map((one) => [one, classOfAddress(one)]))).toEqual(
      Object.fromEntries(addresses.map((one) => [one, kind])),
    );
  });
});

/** The addresses that a rule lets a name resolve to, in order of the calls. */
async function resolved(rule: AddressRule, ...hosts: string[]): Promise<string[]> {
  const results: string[] = [];
  for (const host of hosts) {
    const found = promisify(rule.lookup as typeof systemLookup)(host, { all: true });
    results.push(
      await found.then(
        (addresses) => addresses.map(({ address }) => address).join(),
        (error: unknown) => String(error),
      ),
    );
  }
  return results;
}

describe('the rule for a hub', () => {
  test('at a public address refuses names and literal addresses that lead inside', async () => {
    const rule = new AddressRule('https://93.184.216.34');
    const [name] = await resolved(rule, 'localhost');
    expect(name).toMatch(/^PullError: The hub leads to localhost \(.+\), an address of this machine, .*: refused\./);
    for (const host of ['127.0.0.1', '[::1]', '[::ffff:7f00:1]', '169.254.169.254', '10.0.0.1', '0.0.0.0'])
      expect(() => rule.checkHost(host)).toThrow(/refused\. If you trust this place, set HF_ENDPOINT/);
    rule.checkHost('1.1.1.1');
    rule.checkHost('cdn.example');
  });

  test.each(['http://0x7f.1/', 'http://2130706433/', 'http://017700000001/', 'http://127.1/', 'http://①②⑦.0.0.1/'])(
    'knows the odd notation %s',
    (url) => {
      expect(() => new AddressRule('https://93.184.216.34').checkHost(new URL(url).hostname)).toThrow('127.0.0.1');
    },
  );

  test('in a private network allows its network and the internet, but no link-local address', async () => {
    const rule = new AddressRule('http://10.1.2.3:8080');
    for (const host of ['127.0.0.1', '192.168.7.7', '1.1.1.1', '[fd00::1]']) rule.checkHost(host);
    for (const host of ['169.254.169.254', '[fe80::1]', '0.0.0.0', '224.0.0.1'])
      expect(() => rule.checkHost(host)).toThrow(/a link-local, multicast or reserved address, where no hub is/);
    expect((await resolved(rule, 'localhost'))[0]).toMatch(/^(?:127\.0\.0\.1|::1)/);
  });

  test('is decided by the first address of its name, not by a later one', async () => {
    let kind: AddressClass = 'public';
    const rule = new AddressRule('http://localhost', () => kind);
    expect((await resolved(rule, 'localhost'))[0]).not.toMatch(/refused/);
    kind = 'inner';
    expect((await resolved(rule, 'localhost'))[0]).toMatch(/refused/);
    const inner = new AddressRule('http://localhost', (address) => (isIP(address) ? kind : 'special'));
    expect((await resolved(inner, 'localhost', 'localhost')).join()).not.toMatch(/refused/);
  });
});

describe.runIf(process.platform === 'linux')('a hub at a public address (127.0.0.2 plays one)', () => {
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });

  async function listen(address: string, answer: RequestListener): Promise<number> {
    const server = createServer(answer).listen(0, address);
    servers.push(server);
    await new Promise((resolve) => server.once('listening', resolve));
    return (server.address() as AddressInfo).port;
  }

  const reference = { repo: 'org/m', folder: '', revision: 'main' };
  const connect = (endpoint: string): Connection => {
    const classOf = (address: string): AddressClass => (address === '127.0.0.2' ? 'public' : classOfAddress(address));
    const policy = { ...RETRY_POLICY, tries: 2, backoffMs: 1 };
    return new Connection(
      { endpoint, token: undefined, rule: new AddressRule(endpoint, classOf) },
      reference,
      undefined,
      policy,
    );
  };

  test.each(['127.0.0.1', 'localhost', '2130706433', '[::ffff:127.0.0.1]'])(
    'cannot redirect to %s: nothing is sent there',
    async (host) => {
      let inner = 0;
      const secret = await listen('127.0.0.1', (_, response) => {
        inner += 1;
        response.end('{"sha":"secret"}');
      });
      const port = await listen('127.0.0.2', (_, response) =>
        response.writeHead(302, { location: `http://${host}:${secret}/latest/meta-data/iam` }).end(),
      );
      const connection = connect(`http://127.0.0.2:${port}`);
      expect(String(await reasonOf(readRepository(connection, reference)))).toMatch(
        /PullError: The hub leads to .*: refused/,
      );
      const file = { path: 'a', size: 9, etag: 'e', hash: 'sha256' } as const;
      const task = {
        url: new URL(`http://127.0.0.2:${port}/a`),
        file,
        blob: `/tmp/${COMMIT}-${port}`,
        onProgress: () => undefined,
      };
      expect(String(await reasonOf(download(connection, task)))).toMatch(/PullError: The hub leads to .*: refused/);
      expect(inner).toBe(0);
    },
  );

  test('can redirect to another public address', async () => {
    const other = await listen('127.0.0.2', (request, response) => {
      response.setHeader('content-type', 'application/json');
      response.end(request.url?.includes('/tree/') ? '[]' : JSON.stringify({ sha: COMMIT }));
    });
    const port = await listen('127.0.0.2', (request, response) =>
      response.writeHead(307, { location: `http://127.0.0.2:${other}${request.url}` }).end(),
    );
    expect((await readRepository(connect(`http://127.0.0.2:${port}`), reference)).commit).toBe(COMMIT);
  });
});
