/** The thread that compiles large grammars (grammar-thread.ts): its limits and the errors of its jobs. */
import { COMPILE_MS } from '../../grammar/budget.ts';
import { GrammarError } from '../../grammar/grammar-error.ts';
import { JobThread } from '../thread/job-thread.ts';
import type { StartLimits } from '../thread/thread-role.ts';
import type { CompileAnswer, CompiledSource, CompileJob } from './compile-messages.ts';

/** Limits of the thread. Times are in milliseconds. */
export interface CompileThreadLimits extends StartLimits {
  /** Time of a job: for work that does not count in the budget of a compilation, and for a busy machine. */
  readonly jobMs: number;
  readonly idleMs: number;
}

export const COMPILE_THREAD_LIMITS: CompileThreadLimits = {
  startMs: 60_000,
  jobMs: 40 * COMPILE_MS,
  heapMb: 256,
  idleMs: 60_000,
};

export interface CompileThreadOptions {
  readonly entry: URL;
  readonly limits: CompileThreadLimits;
  /** Called when the thread was ended before its time or could not start. The next job starts another one. */
  readonly onReplaced: (reason: string) => void;
}

export type CompileThread = JobThread<CompileJob, CompileAnswer, CompiledSource>;

/** The thread, which starts with its first job. `run` rejects with GrammarError. */
export function compileThread({ entry, limits, onReplaced }: CompileThreadOptions): CompileThread {
  return new JobThread({
    name: 'grammar compiler',
    purpose: 'large schemas',
    entry,
    data: undefined,
    limits,
    unitsOf: ({ source }) => source.length,
    msOf: () => limits.jobMs,
    tooSlow: (ms) => tooComplex(`needs more than ${ms} ms to compile; use a smaller one`),
    tooMuchMemory: (heapMb) => tooComplex(`needs more than ${heapMb} MiB of memory to compile; use a smaller one`),
    resultOf: compiledOf,
    onReplaced,
  });
}

const tooComplex = (message: string): GrammarError => new GrammarError('too_complex', [], message);

/** The grammar of an answer, or the error of the job as it was thrown on the thread. */
function compiledOf(answer: CompileAnswer): CompiledSource {
  if (answer.type === 'compiled') return answer.compiled;
  if (answer.type === 'refused') throw new GrammarError(answer.problem, answer.path, answer.message);
  throw new Error(`The grammar could not be compiled: ${answer.message}`);
}
