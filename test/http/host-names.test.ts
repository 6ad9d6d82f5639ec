/** The refusal of a foreign name in `Host` names the settings that would allow this very name. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Config, readConfig, readSettings } from '../../src/config/config.ts';
import type { WorkerError } from '../../src/contract/errors.ts';
import { nameGuard } from '../../src/http/host-names.ts';

/** The error for a `Host`; undefined if it is allowed. */
function refusalOf(host: string, config: Config): WorkerError | undefined {
  try {
    nameGuard(config)(host);
    return undefined;
  } catch (error) {
    return error as WorkerError;
  }
}

const plain = readConfig([], {});
/** A worker whose token is in `.env` of its folder. */
function withFolderToken(args: readonly string[] = []): Config {
  const folder = mkdtempSync(join(tmpdir(), 'host-'));
  writeFileSync(join(folder, '.env'), 'RBEES_API_TOKEN=correct-horse-battery\n');
  const environment = {};
  const named = args.map((arg) => (arg === '.env' ? join(folder, arg) : arg));
  return readSettings(named, { environment, folder }).config;
}

test.each(['gpu-7.example.com', 'gpu-7.example.com:8443', 'GPU-7.example.com', 'gpu_7', 'backend:80'])(
  'each remedy that the refusal of %s names allows it',
  (host) => {
    const error = refusalOf(host, plain);
    expect(error).toMatchObject({ code: 'FORBIDDEN_ORIGIN', details: { host } });
    const url = `http://${host.toLowerCase()}`;
    expect(error?.message).toContain(
      `To allow ${JSON.stringify(host)}, start the worker with --advertise-url ${url} or with --api-token, or let the proxy send Host: localhost.`,
    );
    expect(refusalOf(host, readConfig(['--advertise-url', url], {}))).toBeUndefined();
    expect(refusalOf(host, readConfig(['--api-token', 'correct-horse-battery'], {}))).toBeUndefined();
    expect(refusalOf('localhost', plain)).toBeUndefined();
  },
);

test('a token in .env of the folder does not allow the name, but the file can be named', () => {
  const error = refusalOf('gpu-7.lan', withFolderToken());
  expect(error?.message).toMatch(
    /because the token in .env of a folder is not trusted\. .* or with --env-file \.env, or/,
  );
  expect(error?.message).not.toContain('--api-token');
  expect(refusalOf('gpu-7.lan', withFolderToken(['--env-file', '.env']))).toBeUndefined();
});

test.each([
  '0x7f.1',
  '2130706433',
  'a@127.0.0.1',
  '127.0.0.1/evil',
  '',
  'gpu-7:99999',
  `${'a'.repeat(70)}.example`,
  '\u00e9.example',
  '-x',
  'a b',
])('a name that no --advertise-url allows is told --api-token only: %s', (host) => {
  const { message = '' } = refusalOf(host, plain) ?? {};
  expect(message).toMatch(/, start the worker with --api-token, or let/);
});

test('the repeated name is short and harmless', () => {
  for (const host of [`${'a.'.repeat(4000)}b`, `\u009b31m${'x'.repeat(100)}`, '"><script>']) {
    const error = refusalOf(host, plain);
    expect(error?.message.length).toBeLessThan(400);
    expect(JSON.stringify([error?.message, error?.details])).not.toMatch(/\p{Cc}/u);
  }
});
