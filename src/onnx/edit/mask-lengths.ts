/**
 * Recognizes the lengths of the rows among the values that a graph computes from its attention mask: ones for
 * the tokens of a row, then zeros, as wide as the longest row. Knows the operators by which exporters compute
 * lengths, with every attribute that they set; anything else is no length. Pure.
 */
import type { Graph, Node } from '../graph.ts';
import { INT32, INT64 } from '../types.ts';
import { type Integers, integerAttributes, integersOf } from './constants.ts';

/** The longest chain of nodes from the mask to a length. */
const DEEPEST = 12;

/** A value as a function of the mask. */
type Derived =
  | { readonly is: 'mask' }
  /** The shape of the mask: rows, tokens in the longest row. */
  | { readonly is: 'shape' }
  /** Tokens of each row plus a number, `[rows]`; as a column `[rows, 1]`. */
  | { readonly is: 'lengths'; readonly plus: number; readonly isColumn: boolean }
  /** Tokens in the longest row plus a number, one element. */
  | { readonly is: 'longest'; readonly plus: number };

/** A node of which one input comes from the mask: the first one, except for Add. */
interface Application {
  readonly from: Derived;
  /** The other inputs, which are constants. */
  readonly constants: readonly Integers[];
  /** An integer attribute, or its default. */
  readonly attribute: (name: string, otherwise: number) => number;
  /** The constant axes: the second input, in older versions an attribute; undefined for none. */
  readonly axes: readonly number[] | undefined;
}

interface Rule {
  readonly attributes: readonly string[];
  readonly apply: (application: Application) => Derived | undefined;
}

/** The position of the last token of each row: the length minus one. `[rows]` or `[rows, 1]`. */
export function isLastPositions(graph: Graph, mask: string, name: string): boolean {
  const derived = derivedFrom(graph, mask, name);
  return derived?.is === 'lengths' && derived.plus === -1;
}

/** Tokens in the longest row, one element. */
export function isLongest(graph: Graph, mask: string, name: string): boolean {
  const derived = derivedFrom(graph, mask, name);
  return derived?.is === 'longest' && derived.plus === 0;
}

function derivedFrom(graph: Graph, mask: string, name: string, depth = DEEPEST): Derived | undefined {
  if (name === mask) return { is: 'mask' };
  const node = graph.producer(name);
  const rule = node?.domain === '' ? RULES[node.operator] : undefined;
  if (!node || !rule || node.outputs.length !== 1 || depth === 0) return undefined;
  const at = node.inputs.findIndex((input) => !graph.constantShape(input));
  if (at !== 0 && node.operator !== 'Add') return undefined;
  const from = derivedFrom(graph, mask, node.inputs[at] ?? '', depth - 1);
  return from && apply(graph, node, { from, at, rule });
}

/** The result of a node; undefined if another input or an attribute is unknown. */
function apply(
  graph: Graph,
  node: Node,
  { from, at, rule }: { readonly from: Derived; readonly at: number; readonly rule: Rule },
): Derived | undefined {
  const constants = node.inputs.flatMap((name, index) => (index === at ? [] : (integersOf(graph, name) ?? [])));
  const attributes = integerAttributes(graph, node);
  if (constants.length !== node.inputs.length - 1) return undefined;
  if ([...attributes].some(([name, values]) => !rule.attributes.includes(name) || values.length === 0))
    return undefined;
  return rule.apply({
    from,
    constants,
    attribute: (name, otherwise) => attributes.get(name)?.[0] ?? otherwise,
    axes: attributes.get('axes') ?? constants[0]?.values,
  });
}

const isOnly = (values: readonly number[] | undefined, ...accepted: readonly number[]): boolean =>
  values?.length === 1 && accepted.includes(values[0] ?? Number.NaN);

/** A length plus the only element of a constant, times a sign. */
function sum({ from, constants: [constant] }: Application, sign: number): Derived | undefined {
  const [value] = constant?.values ?? [];
  // A constant of higher rank would change the shape of the sum.
  if (constant?.values.length !== 1 || constant.shape.length > 1 || value === undefined) return undefined;
  return from.is === 'lengths' || from.is === 'longest' ? { ...from, plus: from.plus + sign * value } : undefined;
}

/** One element stays one element, in whatever shape. */
const one = ({ from }: Application): Derived | undefined => (from.is === 'longest' ? from : undefined);

const RULES: Readonly<Record<string, Rule>> = {
  Identity: { attributes: [], apply: ({ from }) => from },
  Cast: {
    attributes: ['to', 'saturate', 'round_mode'],
    apply: ({ from, attribute }) => ([INT32, INT64].includes(attribute('to', 0)) ? from : undefined),
  },
  ReduceSum: {
    attributes: ['axes', 'keepdims', 'noop_with_empty_axes'],
    apply: ({ from, axes, attribute }) =>
      from.is === 'mask' && isOnly(axes, 1, -1)
        ? { is: 'lengths', plus: 0, isColumn: attribute('keepdims', 1) !== 0 }
        : undefined,
  },
  // The longest row is as wide as the mask.
  ReduceMax: {
    attributes: ['keepdims', 'noop_with_empty_axes'],
    apply: ({ from, axes, attribute }) => {
      if (from.is !== 'lengths' || axes || attribute('noop_with_empty_axes', 0) !== 0) return undefined;
      // The maximum of a column would be [1, 1], which attention does not take.
      return from.isColumn && attribute('keepdims', 1) !== 0 ? undefined : { is: 'longest', plus: from.plus };
    },
  },
  Sub: { attributes: [], apply: (application) => sum(application, -1) },
  Add: { attributes: [], apply: (application) => sum(application, 1) },
  Shape: {
    attributes: ['start', 'end'],
    apply: ({ from, attribute }) => {
      if (from.is !== 'mask' || attribute('end', 2) < 2) return undefined;
      const start = attribute('start', 0);
      if (start === 0) return { is: 'shape' };
      return start === 1 ? { is: 'longest', plus: 0 } : undefined;
    },
  },
  Gather: {
    attributes: ['axis'],
    apply: ({ from, constants, attribute }) =>
      from.is === 'shape' && attribute('axis', 0) === 0 && isOnly(constants[0]?.values, 1, -1)
        ? { is: 'longest', plus: 0 }
        : undefined,
  },
  Squeeze: {
    attributes: ['axes'],
    apply: (application) => {
      const { from, axes } = application;
      if (from.is === 'lengths' && from.isColumn && isOnly(axes, 1, -1)) return { ...from, isColumn: false };
      return one(application);
    },
  },
  Unsqueeze: { attributes: ['axes'], apply: one },
  Reshape: {
    attributes: ['allowzero'],
    apply: (application) => {
      const { from, constants } = application;
      if (from.is === 'lengths' && isOnly(constants[0]?.values, -1)) return { ...from, isColumn: false };
      return one(application);
    },
  },
};
