/**
 * Compiles the grammars of outputs and keeps them for later requests. Compiles short sources on the event
 * loop within a small part of the budget, and all others on a thread with a deadline. The code of the
 * compiler is loaded at the first use.
 */
import { createHash } from 'node:crypto';
import { GRAMMAR_THREAD_ENTRY } from '../../config/paths.ts';
import { Budget } from '../../grammar/budget.ts';
import { GrammarError } from '../../grammar/grammar-error.ts';
import type { CompiledSource } from './compile-messages.ts';
import {
  COMPILE_THREAD_LIMITS,
  type CompileThread,
  type CompileThreadLimits,
  compileThread,
} from './compile-thread.ts';
import { type CacheBounds, GrammarCache } from './grammar-cache.ts';
import type { GrammarSource } from './source.ts';
import { workClock } from './work-clock.ts';

/** UTF-16 units of the longest source, as JSON, that the event loop compiles. */
export const LOOP_SOURCE_UNITS = 4_096;
/**
 * Longest time of a compilation on the event loop, in milliseconds. One that needs more is done on the
 * thread. A schema of ten fields takes 1 ms, and 7 ms while the code is cold.
 */
export const LOOP_COMPILE_MS = 10;
/**
 * Parts whose automata are built once, which takes longer than any schema: the characters of a property of
 * Unicode in a pattern, and the formats of 12 ms to 30 ms.
 */
const SLOW = /\\p\{|"format":"(?:hostname|ipv6|uri)"/i;
/** Grammars that are kept. */
export const CACHE_BOUNDS: CacheBounds = { count: 256, bytes: 32 * 2 ** 20 };

/** A compiled grammar. */
export interface Compiled extends CompiledSource {
  /** SHA-256 of the source, in hex digits: equal sources have equal keys. */
  readonly key: string;
  /** Milliseconds that the caller waited, with the start of the thread if it was needed. */
  readonly ms: number;
  /** True if the grammar was compiled for an earlier request. */
  readonly cached: boolean;
}

export interface CompilerOptions {
  /** Called when the thread was ended because of a source that took too much time or memory. */
  readonly onThreadReplaced?: (reason: string) => void;
  /** For tests: JavaScript of the thread instead of the file in dist. */
  readonly threadEntry?: URL;
  /** For tests: other limits. */
  readonly threadLimits?: CompileThreadLimits;
  readonly cacheBounds?: CacheBounds;
  /** For tests: another clock for the event loop, in milliseconds. */
  readonly newClock?: () => () => number;
}

interface Kept extends CompiledSource {
  readonly bytes: number;
}

/** A compilation that callers wait for. */
interface Shared {
  readonly result: Promise<Kept>;
  readonly controller: AbortController;
  waiting: number;
}

export class GrammarCompiler {
  readonly #thread: CompileThread;
  readonly #cache: GrammarCache<Kept>;
  readonly #newClock: () => () => number;
  readonly #running = new Map<string, Shared>();

  constructor(options: CompilerOptions = {}) {
    const { onThreadReplaced = () => undefined, threadEntry = GRAMMAR_THREAD_ENTRY } = options;
    const limits = options.threadLimits ?? COMPILE_THREAD_LIMITS;
    this.#thread = compileThread({ entry: threadEntry, limits, onReplaced: onThreadReplaced });
    this.#newClock = options.newClock ?? workClock;
    this.#cache = new GrammarCache(options.cacheBounds ?? CACHE_BOUNDS);
  }

  /**
   * The grammar of a source. Equal sources that are compiled at the same time share one compilation.
   * @throws GrammarError with a path in the schema, or in the tools; the signal's reason; WorkerError
   *   WORKER_UNHEALTHY if the system has no resources for the thread; Error if the compiler is closed
   */
  async compile(source: GrammarSource, signal: AbortSignal): Promise<Compiled> {
    signal.throwIfAborted();
    const began = performance.now();
    const text = JSON.stringify(source);
    const key = createHash('sha256').update(text).digest('hex');
    const known = this.#cache.get(key);
    const { program, states, withoutEffect } = known ?? (await this.#wait(this.#share(key, source, text), key, signal));
    return { key, program, states, withoutEffect, ms: performance.now() - began, cached: known !== undefined };
  }

  /** Ends the thread and rejects the sources that wait for it. */
  async close(): Promise<void> {
    await this.#thread.close();
  }

  /** The running compilation of a key, or a new one. */
  #share(key: string, source: GrammarSource, text: string): Shared {
    const running = this.#running.get(key);
    if (running) return running;
    const controller = new AbortController();
    const shared = { result: this.#compile(source, text, controller.signal), controller, waiting: 0 };
    this.#running.set(key, shared);
    const forget = (): void => {
      if (this.#running.get(key) === shared) this.#running.delete(key);
    };
    shared.result.then((kept) => {
      this.#cache.set(key, kept);
      forget();
    }, forget);
    return shared;
  }

  /** Waits for a compilation. It ends when nobody waits for it any more. */
  async #wait(shared: Shared, key: string, signal: AbortSignal): Promise<Kept> {
    const settled = new AbortController();
    shared.waiting += 1;
    try {
      return await new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true, signal: settled.signal });
        shared.result.then(resolve, reject);
      });
    } finally {
      settled.abort();
      shared.waiting -= 1;
      if (shared.waiting === 0 && this.#running.get(key) === shared) {
        this.#running.delete(key);
        shared.controller.abort(new Error('Nobody waits for the grammar.'));
      }
    }
  }

  async #compile(source: GrammarSource, text: string, signal: AbortSignal): Promise<Kept> {
    const compiled = (await onLoop(source, text, this.#newClock)) ?? (await this.#thread.run({ source: text }, signal));
    // A program with a character outside of Latin-1 takes two bytes for each character; all count as such.
    return { ...compiled, bytes: 2 * compiled.program.length };
  }
}

/**
 * Compiles a short source on the event loop; undefined if it is long or needs more time there.
 * @throws GrammarError
 */
async function onLoop(
  source: GrammarSource,
  text: string,
  newClock: () => () => number,
): Promise<CompiledSource | undefined> {
  if (text.length > LOOP_SOURCE_UNITS || SLOW.test(text)) return undefined;
  const { compileSource } = await import('./compile-source.ts');
  try {
    return compileSource(source, () => new Budget(newClock(), LOOP_COMPILE_MS));
  } catch (error) {
    if (error instanceof GrammarError && error.problem === 'too_complex') return undefined;
    throw error;
  }
}
