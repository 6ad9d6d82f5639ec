/**
 * The decoder of the scripted model: a graph without weights. Its cache has the ids of all tokens so far, and
 * its logits are 100 for one id and 0 for all others. That id is the next byte of a script:
 *
 * 1. The last `<|im_start|>` begins the answer. The number of tokens after its role line is the number of bytes
 *    of the script that are in the text already, from the model or from the prompt. So the beginning of an
 *    answer can also come with the prompt.
 * 2. The tokens of the prompt choose the script: `<tool_response>` in the last message before the answer chooses
 *    `afterTool`; otherwise `<tools>` anywhere chooses `withTools`; otherwise it is `plain`.
 * 3. `</think>` after the last `<|im_start|>` means that the prompt has closed the reasoning: the script then
 *    begins behind its own reasoning. So it does if the answer in the prompt begins with another text than
 *    `<think>`, such as `<tool_call>`.
 *
 * The logits are right for the last position of a run, and for the positions after it. The engine asks for no
 * others, because a cache that grows has no drafts.
 */
import { FLOAT32, INT64 } from '../../../src/onnx/types.ts';
import { OnnxGraph } from './onnx-graph.ts';

/** Ids 0 to 255 are the bytes. */
export const IDS = { start: 256, end: 257, tools: 258, toolResponse: 259, thinkEnd: 260 } as const;
export const VOCABULARY = 261;

/** Names of the scripts, in the order of the table. */
export const SCRIPTS = ['plain', 'withTools', 'afterTool'] as const;

/** The ids of a script from its beginning, and from behind its reasoning. */
export interface ScriptIds {
  readonly whole: readonly number[];
  readonly withoutReasoning: readonly number[];
}

const LOGIT = 100;
const THINK = '<think>';
/** Tokens of the role line: `assistant` and a line feed. */
const ROLE_LINE = 'assistant\n'.length;
/** Line feeds that the template writes behind `</think>`. */
const AFTER_THINK = 2;

/**
 * Builds the graph as a ModelProto.
 * @param scripts in the order of `SCRIPTS`
 * @param opened tokens that the template writes behind the role line, such as `<think>` and a line feed
 * @param work size of a square matrix that each token is multiplied with, only to take time; 0 = none
 */
export function decoder(scripts: readonly ScriptIds[], opened: number, work = 0): Buffer {
  const graph = new OnnxGraph();
  const { all, kept } = addTokens(graph);
  const zero = graph.integers(0);
  const rows = graph.integers([1]);
  const places = (condition: string): string =>
    graph.node('ReduceMax', [graph.node('Where', [condition, all.positions, zero]), rows]);
  const isToken = (id: number): string => graph.node('Equal', [all.ids, graph.floats(id)]);
  const isStart = isToken(IDS.start);
  const answer = places(isStart);
  const before = places(graph.node('And', [isStart, graph.node('Less', [all.positions, answer])]));
  const thinkEnd = places(isToken(IDS.thinkEnd));
  const isClosed = graph.node('Greater', [thinkEnd, answer]);
  const first = graph.node('Where', [
    isClosed,
    graph.node('Add', [thinkEnd, graph.integers(AFTER_THINK)]),
    graph.node('Add', [answer, graph.integers(ROLE_LINE + opened)]),
  ]);
  const skipped = opened > 0 ? isClosed : graph.node('Or', [isClosed, skipsReasoning(graph, all, first)]);
  const hasTools = graph.node('Greater', [places(isToken(IDS.tools)), zero]);
  const hasResult = graph.node('Greater', [places(isToken(IDS.toolResponse)), before]);
  const withTools = graph.node('Where', [hasTools, graph.integers(1), zero]);
  const script = graph.node('Where', [hasResult, graph.integers(2), withTools]);
  const offset = graph.node('Sub', [kept, first]);
  addLogits(graph, scripts, { script, skipped, offset, ...(work > 0 && { zero: addWork(graph, work) }) });
  return graph.bytes();
}

/** A product of each token of the run with a matrix of zeros. @returns the name of its sum, which is 0 */
function addWork(graph: OnnxGraph, size: number): string {
  const tokens = graph.node('Reshape', [graph.node('Cast', ['input_ids'], { to: FLOAT32 }), graph.integers([-1, 1])]);
  const constant = (rows: number): string =>
    graph.node('Reshape', [graph.floats(Array<number>(rows * size).fill(0)), graph.integers([rows, size])]);
  return graph.node(
    'ReduceSum',
    [graph.node('MatMul', [graph.node('MatMul', [tokens, constant(1)]), constant(size)])],
    {
      keepdims: 0,
    },
  );
}

/** True if the third token of the answer is there and is not that of `<think>`. */
function skipsReasoning(graph: OnnxGraph, all: { ids: string; positions: string }, first: string): string {
  const third = graph.node('Equal', [all.positions, graph.node('Add', [first, graph.integers(3)])]);
  const known = graph.node('Where', [third, all.ids, graph.floats(-1)]);
  const id = graph.node('ReduceMax', [known, graph.integers([1])]);
  const isKnown = graph.node('Greater', [id, graph.floats(-1)]);
  const isThink = graph.node('Equal', [id, graph.floats(THINK.charCodeAt(2))]);
  return graph.node('And', [isKnown, graph.node('Not', [isThink])]);
}

/** The inputs, the cache, and the positions from 1 on: of all tokens, and of the tokens that get logits. */
function addTokens(graph: OnnxGraph): { all: { ids: string; positions: string }; kept: string } {
  const ids = graph.input('input_ids', INT64, ['batch', 'tokens']);
  const mask = graph.input('attention_mask', INT64, ['batch', 'total']);
  const keep = graph.input('num_logits_to_keep', INT64, []);
  const added = graph.node('Unsqueeze', [graph.node('Cast', [ids], { to: FLOAT32 }), graph.integers([1, 3])]);
  const [keys = ''] = ['key', 'value'].map((side) => {
    const past = graph.input(`past_key_values.0.${side}`, FLOAT32, ['batch', 1, 'past', 1]);
    const present = `present.0.${side}`;
    graph.output(present, FLOAT32, ['batch', 1, 'total', 1]);
    return graph.node('Concat', [past, added], { output: present, axis: 2 });
  });
  const one = graph.integers(1);
  const lengthOf = (name: string): string => graph.node('Gather', [graph.node('Shape', [name]), one]);
  const end = graph.node('Add', [lengthOf(mask), one]);
  const positions = graph.node('Range', [one, end, one]);
  const last = (values: string, count: string): string =>
    graph.node('Slice', [
      values,
      graph.node('Reshape', [graph.node('Neg', [count]), graph.integers([1])]),
      graph.integers([Number.MAX_SAFE_INTEGER]),
    ]);
  const kept = last(last(positions, lengthOf(ids)), keep);
  return { all: { ids: graph.node('Squeeze', [keys, graph.integers([1, 3])]), positions }, kept };
}

/** The logits: the id at `offset` in the chosen script, and the end of the answer behind its last id. */
function addLogits(
  graph: OnnxGraph,
  scripts: readonly ScriptIds[],
  { script, skipped, offset, zero }: { script: string; skipped: string; offset: string; zero?: string },
): void {
  const rows = scripts.flatMap(({ whole, withoutReasoning }) => [whole, withoutReasoning]);
  const width = Math.max(...rows.map(({ length }) => length)) + 1;
  const table = rows.flatMap((row) => Array.from({ length: width }, (_, index) => row[index] ?? IDS.end));
  const withoutReasoning = graph.node('Cast', [skipped], { to: INT64 });
  const row = graph.node('Add', [graph.node('Mul', [script, graph.integers(2)]), withoutReasoning]);
  const within = graph.node('Clip', [offset, graph.integers(0), graph.integers(width - 1)]);
  const place = graph.node('Add', [graph.node('Mul', [row, graph.integers(width)]), within]);
  const next = graph.node('Gather', [graph.integers(table), place]);
  const values = graph.floats([0, LOGIT]);
  const logits = [next, graph.integers(VOCABULARY), values];
  if (zero === undefined) graph.node('OneHot', logits, { output: 'logits' });
  else graph.node('Add', [graph.node('OneHot', logits), zero], { output: 'logits' });
  graph.output('logits', FLOAT32, ['batch', 'kept', VOCABULARY]);
}
