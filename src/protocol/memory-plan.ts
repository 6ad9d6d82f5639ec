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
  /** Free before the load; absent if the system does not report it. */
  readonly free?: number;
}
