/** Encodings and kinds of a file of settings: each is read properly, or refused with the way out. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ConfigError, readSettings, type Settings } from '../../src/config/config.ts';

const TEXT = 'RBEES_WORKER_ID=first\r\nRBEES_QUEUE=7\r\n# größer 🐝\r\n';
const utf16be = (text: string): Buffer => Buffer.from(text, 'utf16le').swap16();

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'encodings-'));
});
beforeEach(() => rmSync(join(folder, '.env'), { recursive: true, force: true }));
afterAll(() => rmSync(folder, { recursive: true }));

const inFolder = (): Settings => readSettings([], { environment: {}, folder });
const named = (path: string): Settings => readSettings(['--env-file', path], { environment: {} });

function refusalOf(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return expect.unreachable('The file is accepted.');
}

function written(bytes: Buffer | string): string {
  const path = join(folder, '.env');
  writeFileSync(path, bytes);
  return path;
}

describe('the first line and all others are read', () => {
  test.each([
    ['UTF-8', Buffer.from(TEXT)],
    ['UTF-8 with a byte-order mark', Buffer.from(`\uFEFF${TEXT}`)],
    ['UTF-16, little endian', Buffer.from(`\uFEFF${TEXT}`, 'utf16le')],
    ['UTF-16, big endian', utf16be(`\uFEFF${TEXT}`)],
    ['line ends of old systems', Buffer.from(TEXT.replaceAll('\r\n', '\r'))],
  ])('%s', (_, bytes) => {
    const path = written(bytes);
    for (const settings of [inFolder(), named(path)])
      expect(settings.config).toMatchObject({ workerId: 'first', queue: 7 });
  });
});

describe('bytes that are no text', () => {
  const LATIN_1 = Buffer.from('RBEES_QUEUE=7\nRBEES_WORKER_ID=gr\xf6\xdfer\n', 'latin1');

  test.each([
    ['Latin-1', LATIN_1, /is not valid UTF-8 in line 2; save it as UTF-8, or name a readable file, or none$/],
    ['UTF-32', Buffer.from(`\uFEFF${TEXT}`.replace(/./gsu, '$&\0'), 'utf16le'), /zero character.*UTF-32/],
    ['UTF-16 without a mark', Buffer.from(TEXT, 'utf16le'), /zero byte.*UTF-16/],
    ['half a character of UTF-16', Buffer.from('\uFEFFRBEES_QUEUE=7\ud83d', 'utf16le'), /mark of UTF-16LE/],
    [
      'an odd number of bytes',
      Buffer.concat([Buffer.from('\uFEFFA=1', 'utf16le'), Buffer.from('x')]),
      /mark of UTF-16LE/,
    ],
  ])('%s: refused in a named file', (_, bytes, message) => {
    expect(refusalOf(() => named(written(bytes)))).toMatch(message);
  });

  test('refused in .env in a line with a setting, and replaced in the lines of other programs', () => {
    written(LATIN_1);
    expect(refusalOf(inFolder)).toMatch(/\.env is not valid UTF-8 in line 2; .*--env-file none starts without it$/);
    written(Buffer.from('NAME=gr\xf6\xdfer\nRBEES_QUEUE=7\n', 'latin1'));
    expect(inFolder().config.queue).toBe(7);
  });
});

describe('a path that is no file', () => {
  test('a folder: .env is not read, and a named one is refused', () => {
    const path = join(folder, '.env');
    mkdirSync(path);
    expect(inFolder().file).toBeUndefined();
    expect(refusalOf(() => named(path))).toMatch(
      /^--env-file: ".*" cannot be read \(it is a folder\); name a readable/,
    );
  });

  test('a link to itself is refused with the way out', () => {
    symlinkSync('.env', join(folder, '.env'));
    expect(refusalOf(inFolder)).toMatch(/^The settings file .*ELOOP.*--env-file none starts without it$/);
    expect(refusalOf(() => named(join(folder, '.env')))).toMatch(/ELOOP.*none$/);
  });

  test.runIf(process.getuid?.() !== 0 && process.platform !== 'win32')('a file without permission', () => {
    execFileSync('chmod', ['000', written(TEXT)]);
    expect(refusalOf(inFolder)).toMatch(/EACCES.*--env-file none/);
  });

  test.runIf(process.platform === 'linux')('a named pipe is read to its end, and not waited for forever', async () => {
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    const writer = spawn('sh', ['-c', `(printf RBEES_; sleep 0.2; echo QUEUE=7) > '${pipe}'`]);
    expect(named(pipe).config.queue).toBe(7);
    await new Promise((resolve) => writer.once('close', resolve));
    expect(refusalOf(() => named(pipe))).toMatch(/it is a pipe, and no program has written.*none$/);
  });
});
