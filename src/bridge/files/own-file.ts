/**
 * The file with converted weights that one engine uses alone. The engine removes its name when the runtime
 * has mapped it. An engine that is killed before cannot: the worker then removes the file.
 */
import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { EngineOptions } from '../../protocol/loading.ts';

/**
 * The options with a name for the file. The file is removed when the engine has ended, and when this process
 * exits. After a kill of this process, the next engine that converts weights removes it.
 */
export function withOwnFile(options: EngineOptions, engine: ChildProcess): EngineOptions {
  const { temporaryFolder } = options;
  if (temporaryFolder === undefined) return options;
  const temporaryName = `${randomUUID()}.bin`;
  const remove = (): void => {
    process.off('exit', remove);
    removeFile(join(temporaryFolder, temporaryName));
  };
  process.once('exit', remove);
  engine.once('exit', remove);
  return { ...options, temporaryName };
}

/** Never throws. */
function removeFile(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // The next engine that converts weights removes it.
  }
}
