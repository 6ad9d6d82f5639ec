/**
 * A compiled grammar: plain data that crosses the process boundary. The worker compiles it, the engine runs
 * it (matching/). Nodes refer to each other by index, so a grammar can be recursive. Types only.
 */

/** Index of a node in `Program.nodes`. */
export type NodeId = number;

/**
 * A deterministic automaton over characters (Unicode code points). State 0 is the start. Every state can be
 * reached, and from every state an accepting one can be reached.
 */
export interface CharAutomaton {
  /**
   * Transitions of each state: `[first, last, target, first, last, target, …]`, ranges of code points in
   * ascending order, disjoint, without surrogates (0xd800 to 0xdfff).
   */
  readonly edges: readonly (readonly number[])[];
  /** One flag for each state. */
  readonly accepts: readonly boolean[];
}

/** Members of an object whose names are not listed. */
export interface MemberGroup {
  /**
   * The names, as characters of the decoded name, without the listed ones. Absent: every name that is not
   * listed. Groups of one object are disjoint.
   */
  readonly names?: CharAutomaton;
  readonly value: NodeId;
}

/** A listed member of an object. */
export interface Member {
  readonly name: string;
  readonly value: NodeId;
  readonly required: boolean;
  /** Indices of the members that are required if this member is present. */
  readonly requires?: readonly number[];
}

/** The values that an item of an array can have. */
export interface Item {
  readonly value: NodeId;
  /** Values that also count as a match of `contains`. */
  readonly match?: NodeId;
}

export type GrammarNode =
  /** No text at all: a value that does not exist. */
  | { readonly kind: 'nothing' }
  /** One exact text. */
  | { readonly kind: 'literal'; readonly text: string }
  /** One token by its id: a special token, which has no text. */
  | { readonly kind: 'token'; readonly id: number }
  /** Characters, spelled as they are. */
  | { readonly kind: 'chars'; readonly automaton: CharAutomaton }
  /**
   * A string of JSON with its quotes, whose decoded characters the automaton accepts. Each character has one
   * spelling: that of JSON.stringify.
   */
  | { readonly kind: 'string'; readonly automaton: CharAutomaton }
  /** A string of JSON with its quotes, of any characters in any spelling; `min` to `max` code points. */
  | { readonly kind: 'text'; readonly min: number; readonly max?: number }
  | { readonly kind: 'sequence'; readonly items: readonly NodeId[] }
  | { readonly kind: 'choice'; readonly items: readonly NodeId[] }
  /** `min` to `max` times the item, without a separator. The item must not accept the empty text. */
  | { readonly kind: 'repeat'; readonly item: NodeId; readonly min: number; readonly max?: number }
  /**
   * An array of JSON: the first items by `prefix`, later ones by `rest`; without `rest` there are no later
   * ones. At least `minMatches` items are matches.
   */
  | {
      readonly kind: 'array';
      readonly prefix: readonly Item[];
      readonly rest?: Item;
      readonly min: number;
      readonly max?: number;
      readonly minMatches: number;
    }
  /** An object of JSON. Each name comes at most once. */
  | {
      readonly kind: 'object';
      readonly members: readonly Member[];
      readonly others: readonly MemberGroup[];
      readonly min: number;
      readonly max?: number;
    };

/**
 * A grammar. White space: at most one space after a comma and after a colon of arrays and objects, and none
 * elsewhere.
 */
export interface Program {
  readonly nodes: readonly GrammarNode[];
  readonly root: NodeId;
  /**
   * True: the listed members of objects may come in any order. Absent: in the order of the list, those of
   * groups after the required ones.
   */
  readonly anyOrder?: true;
}
