/** The memory that a model needs on its device, as planned before the model is loaded. Plain data. */

/** All sizes in bytes. */
export interface MemoryPlan {
  readonly slots: number;
  /** Rows of the KV cache: those of the slots, and those that only store prefixes. */
  readonly rows: number;
  /** Tokens in a row. */
  readonly context: number;
  /** The requested context; present if the memory of the cache holds fewer tokens. */
  readonly requestedContext?: number;
  readonly weights: number;
  /**
   * The part of `weights` that the process has for itself, as copies of the runtime; absent = none. The rest
   * are pages of files, which processes with the same weights share.
   */
  readonly copied?: number;
  /** Memory besides the rest while the model is opened, given back afterwards; absent = none. */
  readonly opening?: number;
  /** The memory of the KV cache, which its rows share. */
  readonly cache: number;
  /** The part of `cache` for the rows; the rest is for the run that makes one of them longer. */
  readonly budget: number;
  readonly logits: number;
  /** Memory of the runtime besides the other three, as measured. */
  readonly work: number;
  readonly total: number;
  /** Free before the load, without `reserved`; absent if the system does not report it. */
  readonly free?: number;
  /** Bytes that other workers have reserved and do not use yet; absent if there are none. */
  readonly reserved?: number;
  /** Number of these workers. */
  readonly otherWorkers?: number;
}
