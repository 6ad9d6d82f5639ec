/** Each wrong setting is refused with its name, its value and the allowed values. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ConfigError, readConfig, readSettings, workerEnvironment } from '../../src/config/config.ts';
import { MAX_SETTINGS_FILE_BYTES } from '../../src/config/settings-file.ts';
import { withoutUrlSecrets } from '../../src/protocol/text/url-text.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'settings-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Writes a file of settings. Returns its path. */
function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function refusal(args: readonly string[], environment: Readonly<Record<string, string>> = {}): string {
  try {
    readConfig(args, environment);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return expect.unreachable('The settings are accepted.');
}

describe('a bad setting is refused by name', () => {
  test.each([
    [
      ['--port', 'abc'],
      ['--port', 'abc', '65535'],
    ],
    [
      ['--port', '65536'],
      ['--port', '65536', '65535'],
    ],
    [['--port=-1'], ['--port', '-1']],
    [
      ['--port', '80.5'],
      ['--port', '80.5'],
    ],
    [
      ['--slots', '0'],
      ['--slots', '0', 'auto'],
    ],
    [
      ['--slots', 'many'],
      ['--slots', 'many'],
    ],
    [
      ['--worker-id', 'has space'],
      ['--worker-id', 'has space'],
    ],
    [
      ['--gpu-graph', 'on'],
      ['--gpu-graph', 'on', 'off, eager, captured'],
    ],
    [['--worker-id', 'x'.repeat(129)], ['--worker-id']],
    [
      ['--dtype', 'fp64'],
      ['--dtype', 'fp64', 'q4'],
    ],
    [
      ['--device', 'tpu'],
      ['--device', 'tpu', 'cuda'],
    ],
    [
      ['--log-level', 'loud'],
      ['--log-level', 'loud', 'warn'],
    ],
    [
      ['--log-format', 'xml'],
      ['--log-format', 'xml', 'pretty'],
    ],
    [
      ['--narration', 'cute'],
      ['--narration', 'cute', 'human'],
    ],
    [
      ['--callback-url', 'not a url'],
      ['--callback-url', 'not a url'],
    ],
    [
      ['--callback-url', 'ftp://x/y'],
      ['--callback-url', 'ftp://x/y'],
    ],
    [
      ['--request-timeout', '0'],
      ['--request-timeout', '0'],
    ],
    [
      ['--sse-heartbeat', '0'],
      ['--sse-heartbeat', '0', '1 to 300 seconds'],
    ],
    [
      ['--sse-heartbeat', '301'],
      ['--sse-heartbeat', '301', '1 to 300 seconds'],
    ],
    [
      ['--shutdown-timeout', '1e99'],
      ['--shutdown-timeout', '1e99'],
    ],
    [
      ['--host', '0.0.0.0'],
      ['--host', '0.0.0.0', '--api-token'],
    ],
    [
      ['--host', '::'],
      ['--host', '::'],
    ],
    [['--port'], ['--port']],
    [['--prot', '1'], ['--prot']],
  ])('%j', (args, named) => {
    const message = refusal(args);
    for (const word of named) expect(message).toContain(word);
  });

  test.each([[['--port', ' ']], [['--queue', ' ']]])('a blank is not a number: %j', (args) => {
    expect(refusal(args)).toContain(args[0]);
  });

  test.each(['*', 'app.example', 'https://app.example/path', 'https://a.example,', 'file:///x'])(
    'an origin must be one: %s',
    (value) => {
      expect(refusal(['--cors-origin', value])).toContain('--cors-origin');
    },
  );

  test('all of them are reported together', () => {
    const message = refusal(['--port', 'x', '--slots', 'y'], { RBEES_QUEUE: 'z' });
    for (const word of ['--port', '--slots', 'RBEES_QUEUE']) expect(message).toContain(word);
  });

  test('from the environment it is named by its variable', () => {
    expect(refusal([], { RBEES_PORT: 'abc' })).toMatch(/RBEES_PORT.*abc/);
  });

  test.each(['--api-token', '--callback-token'])('a token is not repeated: %s', (flag) => {
    const message = refusal([flag, 'short7!']);
    expect(message).toContain(flag);
    expect(message).not.toContain('short7!');
  });
});

describe('a callback has one kind of credentials', () => {
  const withUser = ['--callback-url', 'http://hive:s3cr3t-honey@127.0.0.1:9/ready'];
  const token = ['--callback-token', 'a-token-of-the-test'];

  test('a token beside a user in the URL is refused, without its password', () => {
    const message = refusal([...withUser, ...token]);
    expect(message).toMatch(/^--callback-token: --callback-url already has a user and a password/);
    expect(message).not.toMatch(/s3cr3t|of-the-test/);
  });

  test('each of them alone is accepted, and a token without a URL', () => {
    expect(readConfig(withUser, {}).callbackUrl).toContain('s3cr3t-honey');
    expect(readConfig(token, {}).callbackToken).toBe('a-token-of-the-test');
    expect(readConfig([], { RBEES_CALLBACK_TOKEN: 'a-token-of-the-test' }).callbackToken).toBe('a-token-of-the-test');
  });

  test('.env of the working directory sets neither the token nor the descriptor', () => {
    mkdirSync(join(folder, 'foreign'));
    write('foreign/.env', 'RBEES_CALLBACK_TOKEN=a-token-of-the-test\nRBEES_READY_FD=3\n');
    const { config, file } = readSettings([], { environment: {}, folder: join(folder, 'foreign') });
    expect([config.callbackToken, config.readyFd]).toEqual([undefined, undefined]);
    expect(file?.ignored).toEqual(['callback-token', 'ready-fd']);
  });

  test('--callback-give-up 0 is for ever', () => {
    expect(readConfig(['--callback-give-up', '0'], {}).callbackGiveUp).toBe(0);
    expect(readConfig([], {}).callbackGiveUp).toBe(600);
  });
});

describe('--gpu-graph', () => {
  test('is off unless it is set', () => {
    expect(readConfig([], {}).gpuGraph).toBe('off');
    expect(readConfig([], { RBEES_GPU_GRAPH: 'captured' }).gpuGraph).toBe('captured');
    expect(readConfig(['--gpu-graph', 'eager'], { RBEES_GPU_GRAPH: 'captured' }).gpuGraph).toBe('eager');
  });

  test.each(['eager', 'captured'])('%s contradicts the CPU by name', (mode) => {
    const message = `--gpu-graph: ${mode} needs a GPU; --device cpu allows off only; set --gpu-graph off, or choose another --device`;
    expect(refusal(['--device', 'cpu', '--gpu-graph', mode])).toBe(message);
    expect(refusal([], { RBEES_DEVICE: 'cpu', RBEES_GPU_GRAPH: mode })).toBe(message);
    for (const device of ['auto', 'webgpu', 'cuda', 'cuda:1'])
      expect(readConfig(['--device', device, '--gpu-graph', mode], {}).gpuGraph).toBe(mode);
  });

  test('off goes with the CPU, and a command that does not read the setting ignores it', () => {
    expect(readConfig(['--device', 'cpu', '--gpu-graph', 'off'], {}).gpuGraph).toBe('off');
    const environment = { RBEES_DEVICE: 'cpu', RBEES_GPU_GRAPH: 'captured' };
    const { config } = readSettings([], { environment, reads: (name) => name === 'device' });
    expect([config.device, config.gpuGraph]).toEqual(['cpu', 'off']);
  });

  test('is contradicted by the CPU also in a command that does not listen', () => {
    const environment = { RBEES_GPU_GRAPH: 'captured' };
    const reads = (name: string): boolean => name !== 'api-token';
    expect(() => readSettings(['--device', 'cpu'], { environment, reads })).toThrow(
      /^--gpu-graph: captured needs a GPU/,
    );
  });
});

describe('the order of the sources', () => {
  test('flag, then environment, then file, then default', () => {
    const file = ['--env-file', write('worker.env', '# who\nRBEES_WORKER_ID="from-file"\nOTHER=1\n')];
    const environment = { RBEES_WORKER_ID: 'from-environment' };
    expect(readConfig([], {}).workerId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-/);
    expect(readConfig(file, {}).workerId).toBe('from-file');
    expect(readConfig(file, environment).workerId).toBe('from-environment');
    expect(readConfig(['--worker-id', 'from-flag', ...file], environment).workerId).toBe('from-flag');
  });

  test('an empty variable is ignored', () => {
    expect(readConfig([], { RBEES_WORKER_ID: '' }).workerId).toMatch(/^[0-9a-f]{8}-/);
  });
});

describe('.env of the working directory', () => {
  const OPENS = [
    'RBEES_RUNTIME_LIBRARY=./evil.so',
    'RBEES_HOST=0.0.0.0',
    'RBEES_ALLOW_UNAUTHENTICATED=true',
    'RBEES_CORS_ORIGIN=https://evil.example',
    'RBEES_CALLBACK_URL=http://evil.example/',
    'RBEES_ADVERTISE_URL=http://evil.example/',
    'RBEES_LOG_LEVEL=fatal',
    'RBEES_ENV_FILE=/evil.env',
  ].join('\n');
  const HARMLESS = 'RBEES_WORKER_ID=from-file\nRBEES_SLOTS=3\nRBEES_LOG_LEVEL=debug\nRBEES_HOST=localhost\n';

  test('is read for the given folder only', () => {
    write('.env', HARMLESS);
    expect(readSettings([], { environment: {} }).file).toBeUndefined();
    const { config, file } = readSettings([], { environment: {}, folder });
    expect(config).toMatchObject({ workerId: 'from-file', slots: 3, logLevel: 'debug', host: 'localhost' });
    expect(file).toEqual({
      path: join(folder, '.env'),
      used: ['worker-id', 'host', 'slots', 'log-level'],
      ignored: [],
    });
  });

  test('loads no code, opens no door and hides no log line', () => {
    write('.env', `${OPENS}\nRBEES_QUEUE=7\n`);
    const { config, file, variables } = readSettings([], { environment: {}, folder });
    const { workerId: _, ...rest } = config;
    const { workerId: __, ...defaults } = readConfig([], {});
    expect(rest).toEqual({ ...defaults, queue: 7 });
    expect(variables).toEqual({ RBEES_QUEUE: '7' });
    expect(file?.used).toEqual(['queue']);
    expect(file?.ignored.toSorted()).toEqual(
      OPENS.split('\n')
        .map((line) =>
          line
            .replace(/^RBEES_|=.*$/g, '')
            .replaceAll('_', '-')
            .toLowerCase(),
        )
        .sort(),
    );
  });

  test('a named file may set all of that', () => {
    const named = write('named.env', OPENS.replace(/\nRBEES_ENV_FILE=.*/, ''));
    for (const [args, environment] of [
      [['--env-file', named], {}],
      [[], { RBEES_ENV_FILE: named }],
    ] as const) {
      const { config, file } = readSettings(args, { environment, folder });
      expect(config).toMatchObject({ host: '0.0.0.0', runtimeLibrary: './evil.so', logLevel: 'fatal' });
      expect(file).toMatchObject({ path: named, ignored: [] });
      expect(file?.used).toHaveLength(7);
    }
  });

  test('is not read if another file, or none, is named', () => {
    write('.env', HARMLESS);
    expect(readSettings(['--env-file', 'none'], { environment: {}, folder }).file).toBeUndefined();
    expect(readSettings([], { environment: { RBEES_ENV_FILE: 'none' }, folder }).file).toBeUndefined();
  });

  test('a setting that a flag or a variable overrides is neither used nor ignored', () => {
    write('.env', 'RBEES_HOST=0.0.0.0\nRBEES_QUEUE=7\n');
    const settings = readSettings(['--host', '127.0.0.2'], { environment: { RBEES_QUEUE: '8' }, folder });
    expect(settings.file).toMatchObject({ used: [], ignored: [] });
  });

  test('its token protects, but does not count for a host beyond loopback', () => {
    write('.env', 'RBEES_API_TOKEN=token-of-a-stranger\n');
    expect(readSettings([], { environment: {}, folder }).config).toMatchObject({
      apiToken: 'token-of-a-stranger',
      tokenOfFolder: true,
    });
    const open = (args: string[]) => readSettings(['--host', '0.0.0.0', ...args], { environment: {}, folder }).config;
    expect(() => open([])).toThrow(/requires --api-token.*--env-file \.env/);
    expect(open(['--env-file', join(folder, '.env')])).toMatchObject({ tokenOfFolder: false });
    expect(open(['--api-token', 'token-of-the-operator'])).toMatchObject({ tokenOfFolder: false });
  });

  test('a folder or a device named .env is no file of settings', () => {
    rmSync(join(folder, '.env'), { force: true });
    mkdirSync(join(folder, '.env'));
    expect(readSettings([], { environment: {}, folder }).file).toBeUndefined();
    rmSync(join(folder, '.env'), { recursive: true });
    symlinkSync('/dev/zero', join(folder, '.env'));
    expect(readSettings([], { environment: {}, folder }).file).toBeUndefined();
    rmSync(join(folder, '.env'));
  });

  test('a file that is too long is refused by name, with the way out', () => {
    write('.env', '#'.repeat(MAX_SETTINGS_FILE_BYTES + 1));
    expect(() => readSettings([], { environment: {}, folder })).toThrow(
      /\.env is longer than \d+ bytes; --env-file none/,
    );
    write('.env', '#'.repeat(MAX_SETTINGS_FILE_BYTES));
    expect(readSettings([], { environment: {}, folder }).file?.used).toEqual([]);
  });
});

describe('a named file is refused', () => {
  test.each([
    [['--env-file', 'no-such.env'], {}, ['--env-file', 'no-such.env', 'ENOENT', 'none']],
    [[], { RBEES_ENV_FILE: 'no-such.env' }, ['RBEES_ENV_FILE', 'no-such.env', 'ENOENT']],
    [['--env-file', '/dev/zero'], {}, ['/dev/zero', 'longer than']],
    [['--env-file', ''], {}, ['--env-file', 'missing', 'none']],
  ] as const)('%j %j', (args, environment, named) => {
    const message = refusal(args, environment);
    for (const word of named) expect(message).toContain(word);
  });

  test('if it names another file', () => {
    expect(refusal(['--env-file', write('outer.env', 'RBEES_ENV_FILE=inner.env')])).toMatch(/RBEES_ENV_FILE.*outer/);
  });
});

test('a worker that this process starts gets the given settings, and reads no file', () => {
  const settings = readSettings(['--queue', '7', '--env-file', write('all.env', 'RBEES_API_TOKEN=long-enough')], {
    environment: { RBEES_SLOTS: '2', RBEES_HOST: '' },
  });
  const environment = { PATH: '/bin', RBEES_SLOTS: '1', RBEES_DEVICE: 'cpu', RBEES_ENV_FILE: 'x' };
  expect(workerEnvironment(settings, environment)).toEqual({
    PATH: '/bin',
    RBEES_API_TOKEN: 'long-enough',
    RBEES_ENV_FILE: 'none',
    RBEES_QUEUE: '7',
    RBEES_SLOTS: '2',
  });
});

describe('an error message shows no secret of a URL', () => {
  test.each([
    ['--callback-url', 'ftp://me:pass1@h.example/x?key=pass2#pass3', 'ftp://[REDACTED]@h.example/x?[REDACTED]'],
    ['--callback-url', 'me:pass1@h.example/x?key=pass2', '[REDACTED]@h.example/x?[REDACTED]'],
    ['--callback-url', 'http://me:pass1/pass2@h.example:99999?pass3', 'http://[REDACTED]@h.example:99999?[REDACTED]'],
    ['--advertise-url', 'https//h.example?key=pass1', 'https//h.example?[REDACTED]'],
    ['--cors-origin', 'https://me:pass1@h.example?pass2', 'https://[REDACTED]@h.example?[REDACTED]'],
    ['--device', 'http://h.example?key=pass1', 'http://h.example?[REDACTED]'],
  ])('%s %s', (flag, value, shown) => {
    expect(refusal([flag, value])).toContain(`${flag}: ${JSON.stringify(shown)} is not allowed`);
    expect(refusal([flag, value])).not.toMatch(/pass\d/);
  });

  test.each([
    ['http://h.example/x?key=a pass1', 'http://h.example/x?key=a%20pass1'],
    ['http://h.example/x?key="pass1', 'http://h.example/x?key=%22pass1'],
    ['http://h.example/x?key=<>\u2028`pass1', 'http://h.example/x?key=%3C%3E%E2%80%A8%60pass1'],
    ['http://h.example/x?key=a\tpass1', 'http://h.example/x?key=apass1'],
  ])('nor does a log line: %j has no character that ends a URL in a text', (value, url) => {
    const { callbackUrl } = readConfig(['--callback-url', value], {});
    expect(callbackUrl).toBe(url);
    expect(withoutUrlSecrets(`(${callbackUrl}) failed`)).toBe('(http://h.example/x?[REDACTED]) failed');
  });

  test('also if the command line is malformed', () => {
    expect(refusal(['--port', '1', 'http://me:pass1@h.example?key=pass2'])).not.toMatch(/pass\d/);
  });
});
