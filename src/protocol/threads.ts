/** The number of threads that the runtime computes with on the CPU, and its reason. Types only. */

/**
 * `setting`: given by --threads. `small_model`: more threads would not be faster. `cpu_quota`: a control
 * group limits the processor time. `affinity`: the process may use only some cores. `cores`: one for each
 * core.
 */
export type ThreadsReason = 'setting' | 'small_model' | 'cpu_quota' | 'affinity' | 'cores';

export interface ThreadCount {
  readonly count: number;
  readonly reason: ThreadsReason;
  /** Cores whose time the process may use, such as 1.5. Present if it gives the number. */
  readonly cpuQuota?: number;
}
