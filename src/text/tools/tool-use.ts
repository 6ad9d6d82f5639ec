/** Which tools an output may call. Types only. */

export interface ToolUse {
  /**
   * `none`: the model is offered no tool. `auto`: the model decides. `required`: the output begins with a
   * call. A name: the output begins with a call of this tool.
   */
  readonly choice: 'none' | 'auto' | 'required' | { readonly name: string };
  /** False: the output ends after its first call. */
  readonly parallel: boolean;
}
