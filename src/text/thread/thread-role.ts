/** The jobs of a thread that processes one job at a time, its limits, and the errors of its faults. Types only. */
/** Limits of every thread. Times are in milliseconds. */
export interface StartLimits {
  /** Time from the start of the thread until it is ready. */
  readonly startMs: number;
  /** MiB of the heap. */
  readonly heapMb: number;
  /** The thread ends after this time without a job. Absent: it stays. */
  readonly idleMs?: number;
}

/** Thread → parent: `ready` or `unusable` comes once, then one answer for each job. */
export type CommonAnswer =
  | { readonly type: 'ready' }
  | { readonly type: 'unusable'; readonly message: string }
  /** A defect. The thread continues. */
  | { readonly type: 'failed'; readonly message: string };

/**
 * The jobs of a thread, and the errors of its faults. `Answer`: the answers about a job, which can be
 * `failed`.
 */
export interface ThreadRole<Job, Answer extends { readonly type: string }, Result> {
  /** As errors name it: `tokenizer`. */
  readonly name: string;
  /** The jobs that need the thread: `long prompts`. */
  readonly purpose: string;
  readonly entry: URL;
  /** Plain data that the thread starts with. */
  readonly data: unknown;
  readonly limits: StartLimits;
  /** The measure of the work of a job: jobs with less work go first. */
  readonly unitsOf: (job: Job) => number;
  /** Longest time of a job with this work, in milliseconds. */
  readonly msOf: (units: number) => number;
  readonly tooSlow: (ms: number) => Error;
  readonly tooMuchMemory: (heapMb: number) => Error;
  /** The result of a job. Throws the error of the job. */
  readonly resultOf: (answer: Answer) => Result;
  /** Called when the thread was ended before its time or could not start. The next job starts another one. */
  readonly onReplaced?: ((reason: string) => void) | undefined;
}
