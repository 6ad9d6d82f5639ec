import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { libraryPath } from '../../src/model/runtime-library.ts';
import { modelFolder } from './folders.ts';

describe('the runtime library', () => {
  it('is found for this machine in the installed package', () => {
    expect(existsSync(libraryPath())).toBe(true);
  });

  it.each([
    ['linux', 'x64', 'libonnxruntime.so.1'],
    ['linux', 'arm64', 'libonnxruntime.so.1'],
    ['darwin', 'arm64', 'libonnxruntime.1.dylib'],
    ['win32', 'x64', 'onnxruntime.dll'],
  ])('for %s %s is the file %s', (platform, arch, name) => {
    const path = libraryPath({ platform, arch });
    expect([basename(path), existsSync(path)]).toEqual([name, true]);
    expect(path).toContain(join(platform, arch));
  });

  it('is found in any version of the package, the newest binding first', async () => {
    const packageRoot = await modelFolder();
    for (const [binding, name] of [
      ['napi-v6', 'libonnxruntime.so.1'],
      ['napi-v10', 'libonnxruntime.so.2.1.0'],
      ['other', 'libonnxruntime.so.1'],
    ]) {
      const folder = join(packageRoot, 'bin', binding!, 'linux', 'x64');
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, name!), 'x');
    }
    expect(libraryPath({ packageRoot, platform: 'linux', arch: 'x64' })).toBe(
      join(packageRoot, 'bin/napi-v10/linux/x64/libonnxruntime.so.2.1.0'),
    );
  });

  it('is reported with a remedy if it is absent', async () => {
    expect(() => libraryPath({ platform: 'sunos', arch: 'sparc' })).toThrow(
      /no library for sunos sparc.*--runtime-library/,
    );
    expect(() => libraryPath({ packageRoot: '/nowhere' })).toThrow(/no library/);
  });
});
