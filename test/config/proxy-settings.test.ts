/** Which proxy a request takes. */
import { describe, expect, test } from 'vitest';
import { engineEnvironment } from '../../src/config/config.ts';
import { readProxies } from '../../src/config/network/proxy-settings.ts';

const P = 'http://proxy.example:3128';
const nameFor = (environment: Readonly<Record<string, string>>, url: string): string | undefined =>
  readProxies(environment)(new URL(url))?.name;
const isProxied = (noProxy: string, url: string): boolean =>
  nameFor({ HTTPS_PROXY: P, HTTP_PROXY: P, NO_PROXY: noProxy }, url) !== undefined;

describe('a proxy', () => {
  test.each([
    [{ HTTPS_PROXY: P }, 'https://hub.example/x', P],
    [{ https_proxy: P }, 'https://hub.example/x', P],
    [{ HTTP_PROXY: P }, 'http://hub.example/x', P],
    [{ http_proxy: P }, 'http://hub.example/x', P],
    [{ HTTPS_PROXY: P }, 'http://hub.example/x', undefined],
    [{ HTTP_PROXY: P }, 'https://hub.example/x', undefined],
    [{ https_proxy: P, HTTPS_PROXY: 'http://other:1' }, 'https://hub.example', P],
    [{ https_proxy: '', HTTPS_PROXY: P }, 'https://hub.example', P],
    [{ HTTPS_PROXY: ' ' }, 'https://hub.example', undefined],
    [{}, 'https://hub.example', undefined],
    [{ HTTPS_PROXY: 'proxy.example:3128' }, 'https://hub.example', P],
    [{ HTTPS_PROXY: 'http://proxy.example' }, 'https://hub.example', 'http://proxy.example:80'],
    [{ HTTPS_PROXY: 'https://proxy.example/' }, 'https://hub.example', 'https://proxy.example:443'],
    [{ HTTPS_PROXY: 'http://[fd00::7]:8080' }, 'https://hub.example', 'http://[fd00::7]:8080'],
    [{ HTTPS_PROXY: 'http://me:pw@proxy.example:3128' }, 'https://hub.example', P],
  ])('of %j for %s is %s', (environment, url, name) => {
    expect(nameFor(environment, url)).toBe(name);
  });

  test.each([
    ['http://me:pw@proxy.example', 'me:pw'],
    ['http://me@proxy.example', 'me:'],
    ['http://corp%5Cme:a%40b%3Ac@proxy.example', 'corp\\me:a@b:c'],
    ['http://me:100%@proxy.example', 'me:100%'],
    ['me:pw@proxy.example:3128', 'me:pw'],
  ])('%s gets its user and password, and its address has neither', (value, pair) => {
    const proxy = readProxies({ HTTPS_PROXY: value })(new URL('https://hub.example'));
    expect(proxy?.authorization).toBe(`Basic ${btoa(pair)}`);
    expect(`${proxy?.url} ${proxy?.name}`).not.toMatch(/me|pw/);
  });

  test.each(['socks5://p:1080', 'ftp://p', 'http://', 'http://p:99999', 'http://a b', ':', 'http://u:secret@'])(
    '%s is refused with the name of the variable and without its secrets, if it applies',
    (value) => {
      const rule = readProxies({ https_proxy: value });
      expect(() => rule(new URL('https://hub.example'))).toThrow(
        /^https_proxy: ".*" is not allowed; allowed: an http or/,
      );
      expect(() => rule(new URL('https://hub.example'))).not.toThrow(/secret/);
      expect(rule(new URL('https://localhost'))).toBeUndefined();
      expect(rule(new URL('http://hub.example'))).toBeUndefined();
    },
  );

  test('with a host name that is too long is refused in a short sentence', () => {
    const rule = readProxies({ HTTPS_PROXY: 'a'.repeat(100_000) });
    expect(() => rule(new URL('https://hub.example'))).toThrow(/^HTTPS_PROXY: "a{10,199}.* is not allowed; .{1,200}$/);
  });
});

test.each([
  ...['http://127.0.0.1:8080', 'http://127.9.8.7', 'http://2130706433', 'http://[::1]:9', 'http://[::ffff:127.0.0.1]'],
  ...[
    'http://[::ffff:7f01:203]',
    'https://localhost',
    'http://LOCALHOST.',
    'http://a.localhost',
    'http://0.0.0.0',
    'http://[::]',
  ],
])('%s is this machine and never has a proxy', (url) => {
  expect(isProxied('', url)).toBe(false);
  expect(isProxied('other.example', url)).toBe(false);
});

describe('NO_PROXY', () => {
  test.each([
    ['*', 'https://any.example'],
    ['a.example, *', 'https://any.example'],
    ['example.com', 'https://example.com'],
    ['example.com', 'https://hub.example.com'],
    ['.example.com', 'https://hub.example.com'],
    ['.example.com', 'https://example.com'],
    ['*.example.com', 'https://hub.example.com'],
    ['EXAMPLE.com', 'https://example.COM'],
    ['example.com.', 'https://example.com'],
    ['example.com', 'https://example.com.'],
    ['a.example\tb.example\nexample.com', 'https://example.com'],
    ['example.com:8080', 'http://example.com:8080'],
    ['example.com:443', 'https://example.com'],
    ['.example.com:80', 'http://hub.example.com/x'],
    ['bücher.example', 'https://bücher.example'],
    ['192.0.2.7', 'http://192.0.2.7:8080'],
    ['192.0.2.7', 'http://[::ffff:192.0.2.7]'],
    ['192.0.2.7:81', 'http://192.0.2.7:81'],
    ['fd00::7', 'http://[fd00:0:0::7]:8080'],
    ['[fd00::7]', 'http://[fd00::7]'],
    ['[fd00::7]:8080', 'http://[fd00::7]:8080'],
    ['fe80::1%eth0', 'http://[fe80::1]'],
    ['[fe80::1%eth0]:8080', 'http://[fe80::1]:8080'],
    ['fe80::%eth0/64', 'http://[fe80::7]'],
    ['10.0.0.0/8', 'https://10.20.30.40'],
    ['fd00::/8', 'https://[fdff::1]'],
    ['fe80::7%eth0', 'http://[fe80::7]'],
    ['[fe80::7%eth0]:8080', 'http://[fe80::7]:8080'],
    ['fe80::%eth0/64', 'http://[fe80::7]'],
  ])('%j covers %s', (list, url) => {
    expect(isProxied(list, url)).toBe(false);
  });

  test.each([
    ['', 'https://example.com'],
    [',, ,', 'https://example.com'],
    ['example.com', 'https://badexample.com'],
    ['example.com', 'https://example.com.evil.test'],
    ['hub.example.com', 'https://example.com'],
    ['example.com:8080', 'http://example.com:8081'],
    ['example.com:8080', 'https://example.com'],
    ['10.0.0.0/8', 'https://11.0.0.1'],
    ['10.0.0.0/8', 'https://ten.example'],
    ['10.0.0.0/99', 'https://10.0.0.1'],
    ['*%25', 'https://example.com'],
    ['[fd00::7]:8080', 'http://[fd00::7]:8081'],
  ])('%j does not cover %s', (list, url) => {
    expect(isProxied(list, url)).toBe(true);
  });

  test('in lower case counts first', () => {
    const environment = { HTTPS_PROXY: P, no_proxy: 'a.example', NO_PROXY: 'b.example' };
    expect(nameFor(environment, 'https://a.example')).toBeUndefined();
    expect(nameFor(environment, 'https://b.example')).toBe(P);
  });

  test('as long as a variable can be is read in linear time', () => {
    const began = performance.now();
    for (const part of ['a.example,', '*', ':1,', '::/', '[', '1.2.3.4/8 '])
      isProxied(part.repeat(131_072 / part.length), 'https://hub.example');
    expect(performance.now() - began).toBeLessThan(10_000);
  });
});

test('the engine gets no proxy: its URL can have a password', () => {
  const environment = {
    HTTPS_PROXY: P,
    https_proxy: P,
    http_proxy: P,
    ALL_PROXY: P,
    NO_PROXY: '*',
    no_proxy: '*',
    PATH: '/bin',
  };
  expect(engineEnvironment(environment)).toEqual({ PATH: '/bin' });
});
