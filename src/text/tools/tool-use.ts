/** The tools that an output may call, and the wish for reasoning. Types only. */
import type { ReasoningWish } from './output-profile.ts';

export interface ToolUse {
  /**
   * `none`: the model is offered no tool. `auto`: the model decides. `required`: the output begins with a
   * call. A name: the output begins with a call of this tool.
   */
  readonly choice: 'none' | 'auto' | 'required' | { readonly name: string };
  /** False: the output ends after its first call. */
  readonly parallel: boolean;
  /** Absent: as the template decides. */
  readonly reasoning?: ReasoningWish | undefined;
}
