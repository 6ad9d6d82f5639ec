/**
 * Engine processes that wait at their start, before they load anything, until a test releases them. Tests of
 * the time without an engine then do not depend on the speed of the machine.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export class Halt {
  readonly #folder = mkdtempSync(join(tmpdir(), 'halt-'));
  readonly #armed = join(this.#folder, 'armed');
  /** For the worker, which passes these variables to its engines. */
  readonly env: Readonly<Record<string, string>>;

  constructor() {
    const script = join(this.#folder, 'halt.cjs');
    writeFileSync(
      script,
      `if (process.argv[1]?.includes('engine/process.'))
         while (require('node:fs').existsSync(${JSON.stringify(this.#armed)}))
           Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);`,
    );
    this.env = { NODE_OPTIONS: `--require=${script}` };
  }

  /** The next engines wait at their start. */
  arm(): void {
    writeFileSync(this.#armed, '');
  }

  /** The waiting engines continue, and later engines do not wait. */
  disarm(): void {
    rmSync(this.#armed, { force: true });
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
