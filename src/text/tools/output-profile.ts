/**
 * The forms of reasoning and calls in the output of a model, and the abilities of its chat template: plain
 * data, derived from the template by profile.ts. Markers of the format are without the white space around
 * them: readers accept any white space there. Texts named `opening`, `afterName` and `closing` are exact.
 */
import type { Json } from '../template/conversation.ts';

/** How a model marks its reasoning. */
export interface ReasoningFormat {
  readonly open: string;
  readonly close: string;
  /** Exact text from the end of a reasoning to the answer. */
  readonly closing: string;
  /** True if the prompt of a request without variables ends inside the reasoning. */
  readonly forced: boolean;
}

interface Calls {
  /** Begins and ends a group of calls; empty: none. */
  readonly sectionOpen: string;
  readonly sectionClose: string;
  /**
   * Begins and ends one call; empty: none. Without `sectionOpen` and `callOpen` the output itself must begin
   * with the call.
   */
  readonly callOpen: string;
  readonly callClose: string;
  /** The calls are items of a list in square brackets. */
  readonly list: boolean;
  /** Exact text from the beginning of an answer to the name of its first call. */
  readonly opening: string;
  /** Exact text from the name to the arguments, or to the id if the model writes one there. */
  readonly afterName: string;
  /** An answer can have several calls. */
  readonly parallel: boolean;
}

/** An object of JSON with the name and the arguments: `{"name": …, "arguments": {…}}`. */
export interface JsonCalls extends Calls {
  readonly style: 'json';
  readonly nameKey: string;
  readonly argumentsKey: string;
  /** Key of an object that holds the list of calls, for the generic format. */
  readonly wrapper?: string;
  /** A marker that models may write before a call without markers, such as `<|python_tag|>`. */
  readonly prefix?: string;
}

/** A name, then the arguments as an object of JSON: `NAME[ARGS]{…}`. */
export interface NamedCalls extends Calls {
  readonly style: 'named';
  /** Between the name and an id; empty: the model writes no id. */
  readonly idMarker: string;
  /** Between the name (or the id) and the arguments. */
  readonly separator: string;
  /** The template writes the id of a call instead of its name: `functions.NAME:0`. */
  readonly nameInId: boolean;
}

/** A name, then each argument between tags: `<function=NAME><parameter=KEY>VALUE</parameter></function>`. */
export interface TaggedCalls extends Calls {
  readonly style: 'tagged';
  /** Between the name and the first argument; empty: white space ends the name. */
  readonly nameClose: string;
  readonly keyOpen: string;
  /** Between a key and a text. */
  readonly keyClose: string;
  /** Between a key and another value; equal to `keyClose` in most formats. */
  readonly otherKeyClose: string;
  readonly valueClose: string;
  /** A line break after `keyClose` and before `valueClose` does not belong to the value. */
  readonly lines: boolean;
}

/** Calls of Python: `[f(a='x', b=1)]`. */
export interface PythonicCalls extends Calls {
  readonly style: 'pythonic';
}

/** The notation of the Gemma family: `call:NAME{key:<escape>text<escape>,number:1}`. */
export interface GemmaCalls extends Calls {
  readonly style: 'gemma';
  /** Begins and ends a text. */
  readonly quote: string;
  /** Begins the result of a call: a model that writes it has finished its answer. */
  readonly responseOpen?: string;
}

/** The messages of gpt-oss: `<|channel|>commentary to=functions.NAME<|message|>{…}<|call|>`. */
export interface HarmonyCalls extends Calls {
  readonly style: 'harmony';
}

export type CallFormat = JsonCalls | NamedCalls | TaggedCalls | PythonicCalls | GemmaCalls | HarmonyCalls;

export interface OutputProfile {
  readonly reasoning?: ReasoningFormat;
  /** Variables for the reasoning that the template mentions, such as `enable_thinking`. */
  readonly reasoningVariables: readonly string[];
  readonly calls: CallFormat;
  /**
   * The writer of the list of tools. `template`: the template; `system`: the worker, at the end of the system
   * message between `<|tool|>` and `<|/tool|>`; `generic`: the worker, with a description of the generic
   * format.
   */
  readonly toolList: 'template' | 'system' | 'generic';
  /** The template writes the calls of earlier answers. */
  readonly writesCalls: boolean;
  /** The template takes the arguments of earlier calls as texts of JSON, and not as objects. */
  readonly textArguments: boolean;
  /** The template writes messages of the role `tool`. */
  readonly writesResults: boolean;
  /**
   * System messages that the template accepts: `any` number at any place, only the `first` message, or
   * `none`.
   */
  readonly system: 'any' | 'first' | 'none';
  /** Texts whose special tokens must be visible for the parser, without and with tools. */
  readonly markers: { readonly reasoning: readonly string[]; readonly all: readonly string[] };
}

/** Facts of a profile for the log and `/health`. */
export interface ProfileFacts {
  /** Style of the calls; `generic` for a template without tools. */
  readonly tools: CallFormat['style'] | 'generic';
  readonly parallel: boolean;
  readonly reasoning: 'none' | 'optional' | 'forced';
  readonly reasoning_open?: string;
}

export function describeProfile({ calls, toolList, reasoning }: OutputProfile): ProfileFacts {
  return {
    tools: toolList === 'generic' ? 'generic' : calls.style,
    parallel: calls.parallel,
    reasoning: reasoning === undefined ? 'none' : reasoning.forced ? 'forced' : 'optional',
    ...(reasoning && { reasoning_open: reasoning.open }),
  };
}

/** The wish of a request about the reasoning. */
export interface ReasoningWish {
  readonly enabled?: boolean | undefined;
  /** `low`, `medium`, `high`, or a value of the family. */
  readonly effort?: string | undefined;
}

/** Efforts that switch the reasoning off where a template has no other levels. */
const WITHOUT_REASONING: ReadonlySet<string> = new Set(['none', 'minimal']);

/**
 * The variables by which the template of this profile learns the wish. `reasoning_effort: "none"` switches
 * the reasoning off. Empty if the template knows none of them.
 */
export function reasoningVariables(profile: OutputProfile, wish: ReasoningWish): Record<string, Json> {
  const enabled = wish.enabled ?? (wish.effort === undefined ? undefined : !WITHOUT_REASONING.has(wish.effort));
  const effort = wish.effort === 'none' ? undefined : wish.effort;
  const values: Record<string, Json | undefined> = {
    enable_thinking: enabled,
    thinking: enabled,
    reasoning_effort: effort,
  };
  const known = Object.entries(values).filter(([name]) => profile.reasoningVariables.includes(name));
  return Object.fromEntries(known.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}
