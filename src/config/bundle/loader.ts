/**
 * Loads an entry of the build and its scripts, with the code that V8 compiled in an earlier process. Without
 * that code V8 compiles the scripts, and the process writes the code for later processes if the folder of the
 * scripts is writable. A process never fails because of this cache (docs/decisions/0022-cheap-workers.md).
 */
import { accessSync, constants, existsSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Script } from 'node:vm';
import { onStarted } from '../../protocol/start/started.ts';
import { readCode, writeCodes } from './code-cache.ts';

/** One entry of the build, as scripts/bundle.mjs writes it. */
export interface BundledEntry {
  /** Name of the cache of this entry. */
  readonly name: string;
  /** File name of its script. */
  readonly script: string;
  /**
   * Time from the end of the start until a running process writes the cache. A process that exits earlier
   * writes the cache then. A process that ends before it has started writes none: it has run too little code.
   */
  readonly writeAfterMs: number;
}

/** The function of a script, with the parameters of every CommonJS module. */
type Wrapper = (
  ...parameters: [
    exports: unknown,
    require: (id: string) => unknown,
    module: { exports: unknown },
    filename: string,
    dirname: string,
  ]
) => void;

/** Folder of the loader and of the scripts. */
const folder = dirname(fileURLToPath(import.meta.url));

class Loader {
  readonly #entry: BundledEntry;
  /** Node.js of other versions have another V8. */
  readonly #cache: string;
  readonly #require: NodeJS.Require;
  readonly #modules = new Map<string, { exports: unknown }>();
  #useCache: boolean;
  /** The loaded scripts, if this process writes the cache. */
  #loaded: Map<string, Script> | undefined;

  constructor(entry: BundledEntry) {
    this.#entry = entry;
    this.#require = createRequire(join(folder, entry.script));
    this.#cache = join(folder, 'cache', `${process.version}-${process.platform}-${process.arch}`, entry.name);
    this.#useCache = existsSync(this.#cache);
    if (!this.#useCache && isWritable(folder)) this.#planWriting();
  }

  /** Returns the exports of a script of the build. Runs the script at the first call. */
  load(name: string): unknown {
    const known = this.#modules.get(name);
    if (known) return known.exports;
    const script = this.#compile(name, join(folder, name));
    const module = { exports: {} };
    this.#modules.set(name, module);
    const wrapper = script.runInThisContext() as Wrapper;
    const require = (id: string): unknown => (id.startsWith('./') ? this.load(id.slice(2)) : this.#require(id));
    wrapper.call(module.exports, module.exports, require, module, join(folder, name), folder);
    return module.exports;
  }

  #compile(name: string, filename: string): Script {
    // The scripts are ASCII, one byte for each character.
    const source = readFileSync(filename, 'latin1');
    const cachedData = this.#useCache ? this.#cached(name) : undefined;
    const script = new Script(source, cachedData ? { filename, cachedData } : { filename });
    // Other flags of V8: it refuses the code of every script.
    if (script.cachedDataRejected) this.#useCache = false;
    this.#loaded?.set(name, script);
    return script;
  }

  #cached(name: string): Uint8Array | undefined {
    try {
      return readCode(this.#cache, name);
    } catch {
      // The next process writes the cache again.
      this.#useCache = false;
      ignoringErrors(() => rmSync(this.#cache, { recursive: true }));
      return undefined;
    }
  }

  #planWriting(): void {
    const loaded = new Map<string, Script>();
    this.#loaded = loaded;
    const write = (): void => {
      if (this.#loaded === undefined) return;
      this.#loaded = undefined;
      const compiled = (): Map<string, Uint8Array> =>
        new Map([...loaded].map(([name, script]) => [name, script.createCachedData()]));
      // An error if another process has written it, or if there is no space: the next process tries again.
      ignoringErrors(() => writeCodes(this.#cache, compiled));
    };
    onStarted(() => {
      setTimeout(write, this.#entry.writeAfterMs).unref();
      process.once('exit', write);
    });
  }
}

/** Runs an entry. */
export function runEntry(entry: BundledEntry): void {
  new Loader(entry).load(entry.script);
}

function isWritable(folder: string): boolean {
  return ignoringErrors(() => accessSync(folder, constants.W_OK));
}

/** @returns true if there was no error */
function ignoringErrors(work: () => void): boolean {
  try {
    work();
    return true;
  } catch {
    return false;
  }
}
