/** Where the token of the hub comes from. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { readHubSettings } from '../../src/config/network/hub-settings.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'token-'));
});

/** Writes a file below the home folder. */
function write(path: string, content: string | Uint8Array): string {
  const file = join(home, path);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, content);
  return file;
}
const read = (environment: Readonly<Record<string, string>> = {}) => readHubSettings({ HOME: home, ...environment });

describe('the token of "hf auth login"', () => {
  test.each([
    ['.cache/huggingface/token', {}],
    ['h/token', { HF_HOME: '~/h' }],
    ['x/huggingface/token', { XDG_CACHE_HOME: '$HOME/x' }],
    ['elsewhere', { HF_TOKEN_PATH: '~/elsewhere', HF_HOME: '~/h' }],
  ])('is read from %s with %j', (path, environment) => {
    const file = write(path, '\ufeffhf_of_the_file\r\n');
    expect(read(environment)).toMatchObject({ token: 'hf_of_the_file', tokenSource: `the token in ${file}` });
  });

  test('is used after the variables', () => {
    write('.cache/huggingface/token', 'hf_of_the_file');
    expect(read({ HF_TOKEN: ' a\n', HUGGING_FACE_HUB_TOKEN: 'b' })).toMatchObject({
      token: 'a',
      tokenSource: 'HF_TOKEN',
    });
    expect(read({ HF_TOKEN: ' ', HUGGING_FACE_HUB_TOKEN: 'b' })).toMatchObject({
      tokenSource: 'HUGGING_FACE_HUB_TOKEN',
    });
    expect(read({ HF_TOKEN: '' })).toMatchObject({ token: 'hf_of_the_file' });
  });

  test('is not used with HF_HUB_DISABLE_IMPLICIT_TOKEN, as in huggingface_hub', () => {
    write('.cache/huggingface/token', 'hf_of_the_file');
    expect(read({ HF_HUB_DISABLE_IMPLICIT_TOKEN: '1', HF_TOKEN: 'a' }).token).toBeUndefined();
    expect(read({ HF_HUB_DISABLE_IMPLICIT_TOKEN: '0' }).token).toBe('hf_of_the_file');
  });

  test('is read through a link', () => {
    symlinkSync(write('real', 'hf_linked'), join(home, 'link'));
    expect(read({ HF_TOKEN_PATH: join(home, 'link') }).token).toBe('hf_linked');
  });

  test.each(['missing', 'missing/folder', 'file/below'])('can be missing: %s', (path) => {
    write('file', 'x');
    expect(read({ HF_TOKEN_PATH: join(home, path) })).toMatchObject({ token: undefined, tokenSource: undefined });
  });

  test('can be empty, or /dev/null', () => {
    write('.cache/huggingface/token', ' \n');
    expect(read()).toMatchObject({ token: undefined, tokenSource: undefined });
    expect(read({ HF_TOKEN_PATH: '/dev/null' }).token).toBeUndefined();
  });
});

describe('a token file that cannot be used', () => {
  const SECRET = 'hf_not_shown';
  const kinds: [string, RegExp, (path: string) => unknown][] = [
    ['a folder', /is not a regular file/, (path) => mkdirSync(path)],
    ['a pipe', /is not a regular file/, (path) => execFileSync('mkfifo', [path])],
    ['an endless device', /is not a regular file/, (path) => symlinkSync('/dev/zero', path)],
    ['a long file', /is longer than 4096 bytes/, (path) => writeFileSync(path, SECRET.repeat(1000))],
    ['several lines', /holds no token/, (path) => writeFileSync(path, `${SECRET}\nsecond`)],
    ['binary data', /holds no token/, (path) => writeFileSync(path, Buffer.from([0, 255, 1]))],
    ['a circle of links', /cannot be read \(ELOOP\)/, (path) => symlinkSync(path, path)],
  ];

  test.each(kinds)('%s: named by HF_TOKEN_PATH it is an error', (_, problem, make) => {
    const path = join(home, 'odd');
    make(path);
    expect(() => read({ HF_TOKEN_PATH: path })).toThrow(problem);
    expect(() => read({ HF_TOKEN_PATH: path })).toThrow(
      /^HF_TOKEN_PATH: ".*\/odd" .*; name a file with a token, or unset/,
    );
    expect(() => read({ HF_TOKEN_PATH: path })).not.toThrow(SECRET);
    expect(read({ HF_TOKEN_PATH: path, HF_TOKEN: 'a' }).token).toBe('a');
  });

  test.each(kinds)('%s: at the default path it is a warning', (_, problem, make) => {
    write('.cache/huggingface/other', '');
    make(join(home, '.cache/huggingface/token'));
    const { token, tokenProblem } = read();
    expect(token).toBeUndefined();
    expect(tokenProblem).toMatch(problem);
    expect(tokenProblem).toMatch(/it is ignored\. Run "hf auth login" again, or set HF_TOKEN$/);
    expect(tokenProblem).not.toContain(SECRET);
  });
});

test.skipIf(process.getuid?.() === 0)('an unreadable token file is reported', () => {
  chmodSync(write('.cache/huggingface/token', 'hf_x'), 0);
  expect(read().tokenProblem).toMatch(/cannot be read \(EACCES\)/);
});

test('a malformed variable is named, and its value is not shown', () => {
  expect(() => read({ HF_TOKEN: 'not\na token' })).toThrow(/^HF_TOKEN: \(hidden\) is not allowed/);
  expect(() => read({ HUGGING_FACE_HUB_TOKEN: 'ä' })).toThrow(/^HUGGING_FACE_HUB_TOKEN: \(hidden\) is not allowed/);
});
