/** Each wrong setting is refused with its name, its value and the allowed values. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ConfigError, readConfig } from '../../src/config/config.ts';

function refusal(args: readonly string[], environment: Readonly<Record<string, string>> = {}): string {
  try {
    readConfig(args, environment, 'no-such.env');
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

  test('a token is not repeated', () => {
    const message = refusal(['--api-token', 'short7!']);
    expect(message).toContain('--api-token');
    expect(message).not.toContain('short7!');
  });
});

describe('the order of the sources', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'settings-'));
    writeFileSync(join(folder, '.env'), '# who\nRBEES_WORKER_ID="from-file"\nOTHER=1\n');
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test('flag, then environment, then .env, then default', () => {
    const file = join(folder, '.env');
    const environment = { RBEES_WORKER_ID: 'from-environment' };
    expect(readConfig([], {}, join(folder, 'none')).workerId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-/);
    expect(readConfig([], {}, file).workerId).toBe('from-file');
    expect(readConfig([], environment, file).workerId).toBe('from-environment');
    expect(readConfig(['--worker-id', 'from-flag'], environment, file).workerId).toBe('from-flag');
  });

  test('an empty variable is ignored', () => {
    expect(readConfig([], { RBEES_WORKER_ID: '' }, 'no-such.env').workerId).toMatch(/^[0-9a-f]{8}-/);
  });
});
