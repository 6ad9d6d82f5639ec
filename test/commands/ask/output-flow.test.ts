/** The output of a run as text: reasoning, answer and tool calls, each on lines of its own. */
import { expect, test } from 'vitest';
import { OutputFlow } from '../../../src/commands/ask/view/output-flow.ts';
import type { StreamEvent } from '../../../src/contract/events.ts';

type Token = Extract<StreamEvent, { type: 'token' }>;
type Part = Token['part'];

/** The text of all pieces; those beside the answer are in brackets. */
function shown(...tokens: readonly (readonly [part: Part, text: string])[]): string {
  const flow = new OutputFlow();
  return tokens
    .flatMap(([part, t], i) => flow.next({ type: 'token', t, i, ...(part && { part }) }))
    .map(({ text, style }) => (style === undefined ? text.sequence : `[${text.sequence}]`))
    .join('');
}

test('an answer alone is its text', () => {
  expect(shown([undefined, 'one '], [undefined, 'two\n'], [undefined, 'three'])).toBe('one two\nthree');
});

test('an empty line is between reasoning and answer', () => {
  expect(shown(['reasoning', 'Hm'], ['reasoning', '…'], [undefined, 'Yes.'])).toBe('[Hm][…][\n\n]Yes.');
  expect(shown(['reasoning', 'Hm.\n'], [undefined, 'Yes.'])).toBe('[Hm.\n][\n]Yes.');
});

test('each call has a line of its own', () => {
  expect(
    shown(
      [undefined, 'Wait.'],
      ['tool_name', 'add'],
      ['tool_arguments', '{"a":'],
      ['tool_arguments', '1}'],
      ['tool_name', 'sub'],
    ),
  ).toBe('Wait.[\n][→ add ][{"a":][1}][\n][→ sub ]');
});

test('control sequences of all parts are harmless', () => {
  const parts: readonly Part[] = [undefined, 'reasoning', 'tool_name', 'tool_arguments'];
  for (const part of parts) expect(shown([part, 'a\x1b[2J\x07b'])).not.toMatch(/\p{Cc}/u);
});
