/** Libraries in C that tests compile, where the C compiler of the system is installed. */
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const COMPILER = '/usr/bin/cc';

export const hasCompiler: boolean = process.platform === 'linux' && existsSync(COMPILER);

/** Compiles a shared library into a folder. @returns its path */
export function compileLibrary(folder: string, name: string, source: string): string {
  const [code, library] = [join(folder, `${name}.c`), join(folder, `lib${name}.so`)];
  writeFileSync(code, source);
  execFileSync(COMPILER, ['-shared', '-fPIC', '-Wall', '-Werror', '-o', library, code]);
  return library;
}
