/** Outputs that may have calls: free text with calls in it, or an answer of a form instead of calls. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FunctionTool } from '../../../../src/text/template/conversation.ts';
import { randomNumbers } from '../../../support/grammar/random-tokens.ts';
import { FAMILIES } from '../families.ts';
import { type Constrained, constrained, readOf, textOf } from './grammar.ts';
import { namesIn, randomTools, valid } from './tools.ts';

const seeds = { tools: randomTools, parallel: fc.boolean(), special: fc.boolean(), seed: fc.integer() };

/** Reads a text of the grammar; checks that each call in it is read, with arguments of strict tools by the schema. */
function checked(grammar: Constrained, text: string, offered: readonly FunctionTool[]) {
  const read = readOf(grammar, text);
  const shown = JSON.stringify({ text, read });
  expect(read.unparsed, shown).toBe(0);
  const names = namesIn(text);
  expect(
    read.calls.map((call) => call.name),
    shown,
  ).toEqual(names);
  for (const call of read.calls) {
    const tool = offered.find((one) => one.name === call.name);
    const value: unknown = JSON.parse(call.arguments);
    expect(valid(tool?.strict ? tool : undefined, value), shown).toBe(true);
  }
  return { ...read, shown };
}

describe.each(FAMILIES)('the family $name', ({ name, facts }) => {
  it('has free text, and calls of strict tools by their schema', () => {
    let withCalls = 0;
    let withoutCalls = 0;
    fc.assert(
      fc.property(fc.record(seeds), ({ tools, parallel, special, seed }) => {
        const strict = tools.map((tool, at) => (at === 0 ? { ...tool, strict: true } : tool));
        const grammar = constrained(name, { tools: strict, use: { choice: 'auto', parallel }, special });
        const random = randomNumbers(seed);
        for (let count = 0; count < 3; count += 1) {
          const text = textOf(grammar, random);
          const { content, calls, reasoning, shown } = checked(grammar, text, strict);
          if (calls.length > 0) withCalls += 1;
          else withoutCalls += 1;
          if (!parallel) expect(calls.length, shown).toBeLessThanOrEqual(1);
          // Without markers, all of the text is the answer.
          if (calls.length === 0 && facts.reasoning === 'none' && !text.includes('<start_function_response>'))
            expect(content, shown).toBe(text);
          // Harmony has several messages of reasoning.
          if (name !== 'harmony') expect(text, shown).toContain(reasoning);
        }
      }),
      { numRuns: 20 },
    );
    expect(withCalls).toBeGreaterThan(0);
    expect(withoutCalls).toBeGreaterThan(0);
  });

  it('has an answer of the demanded form, or calls', () => {
    const kinds = new Set<string>();
    // The key is none of a call: a format without markers tells an answer from a call by its keys.
    const schema = {
      type: 'object',
      properties: { result: { type: 'string' }, list: { type: 'array', items: {} } },
      required: ['result'],
      additionalProperties: false,
    };
    const answer: FunctionTool = { name: 'answer', parameters: schema };
    fc.assert(
      fc.property(fc.record(seeds), ({ tools, parallel, special, seed }) => {
        const use = { choice: 'auto', parallel, format: { kind: 'schema', schema } } as const;
        const grammar = constrained(name, { tools, use, special });
        const random = randomNumbers(seed);
        for (let count = 0; count < 3; count += 1) {
          const { content, calls, shown } = checked(grammar, textOf(grammar, random), tools);
          kinds.add(calls.length > 0 ? 'calls' : 'answer');
          if (calls.length > 0) expect(content, shown).toBe('');
          else expect(valid(answer, JSON.parse(content)), shown).toBe(true);
        }
      }),
      { numRuns: 20 },
    );
    expect([...kinds].sort()).toEqual(['answer', 'calls']);
  });
});
