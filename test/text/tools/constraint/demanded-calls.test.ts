/** Calls that a request demands: the reader finds exactly the calls that the grammar lets through. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ToolUse } from '../../../../src/text/tools/tool-use.ts';
import { randomNumbers } from '../../../support/grammar/random-tokens.ts';
import { FAMILIES } from '../families.ts';
import { constrained, readOf, textOf } from './grammar.ts';
import { namesIn, randomTools, valid } from './tools.ts';

describe.each(FAMILIES)('the family $name', ({ name, facts }) => {
  const choices: ToolUse['choice'][] = ['required', { name: 'get_weather' }, { name: 'ping_all' }];
  const wishes = fc.record({
    tools: randomTools,
    choice: fc.constantFrom(...choices),
    parallel: fc.boolean(),
    special: fc.boolean(),
    seed: fc.integer(),
  });

  it('reads every demanded call with arguments of its schema', () => {
    fc.assert(
      fc.property(wishes, ({ tools: offered, choice, parallel, special, seed }) => {
        const grammar = constrained(name, { tools: offered, use: { choice, parallel }, special });
        const random = randomNumbers(seed);
        for (let count = 0; count < 3; count += 1) {
          const text = textOf(grammar, random);
          const { content, reasoning, unparsed, calls } = readOf(grammar, text);
          const shown = JSON.stringify({ text, calls });
          expect({ content, reasoning, unparsed }, shown).toEqual({ content: '', reasoning: '', unparsed: 0 });
          const first = typeof choice === 'object' ? [choice.name] : [];
          expect(
            calls.map((call) => call.name),
            shown,
          ).toEqual([...first, ...namesIn(text)]);
          expect(calls.length, shown).toBeGreaterThanOrEqual(1);
          if (!parallel || !facts.parallel) expect(calls.length, shown).toBe(1);
          for (const call of calls) {
            const tool = offered.find((one) => one.name === call.name);
            if (typeof choice === 'object') expect(call.name, shown).toBe(choice.name);
            expect(valid(tool, JSON.parse(call.arguments)), `${shown} ${JSON.stringify(tool)}`).toBe(true);
          }
        }
      }),
      { numRuns: 25 },
    );
  });
});
