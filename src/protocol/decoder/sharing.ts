/** How engines share the weights of a model, as both processes know it. Types only. */

/** Why an engine has copies of the weights of its own. Sizes in bytes. */
export type UnsharedReason =
  | { readonly code: 'disk_full'; readonly needed: number; readonly free: number }
  | { readonly code: 'memory_short'; readonly needed: number; readonly free: number }
  /** The logits of the saved weights differ: root mean square, relative; absent if they are not numbers. */
  | { readonly code: 'differs'; readonly difference?: number }
  /** An earlier attempt has found that these weights cannot be saved. */
  | { readonly code: 'unusable'; readonly message: string }
  /** With the message of the system or of the runtime. */
  | { readonly code: 'failed'; readonly message: string };

/** The progress of sharing weights. Sizes in bytes. */
export type WeightsProgress =
  /** This engine saves the weights; `bytes` is the space that the file takes at most. */
  | { readonly state: 'saving'; readonly bytes: number; readonly expectedMs: number }
  /** Another engine saves them: `percent` is 0, 25, 50 and 75, once each. */
  | { readonly state: 'waiting'; readonly percent: number }
  /** `diskBytes`: the space that the file takes. */
  | { readonly state: 'saved'; readonly diskBytes: number; readonly durationMs: number }
  /** Other engines open saved weights: this one waits for its turn. */
  | { readonly state: 'queued' }
  /** The logits of the saved weights are right; `bytes` are shared by all engines. */
  | { readonly state: 'mapped'; readonly bytes: number }
  | { readonly state: 'unshared'; readonly reason: UnsharedReason };
