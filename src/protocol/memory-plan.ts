/** The memory that a model needs on its device, as planned before the model is loaded. Plain data. */

/** All sizes in bytes. */
export interface MemoryPlan {
  readonly slots: number;
  /** Tokens per slot. */
  readonly context: number;
  readonly weights: number;
  readonly cache: number;
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
