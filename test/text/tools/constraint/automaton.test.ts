/** The automaton of the engine runs the grammars of outputs, token by token. */
import { describe, expect, it } from 'vitest';
import { Grammar } from '../../../../src/grammar/matching/grammar.ts';
import { randomNumbers } from '../../../support/grammar/random-tokens.ts';
import { vocabularyOf } from '../../../support/grammar/vocabularies.ts';
import { FAMILIES, TOOLS } from '../families.ts';
import { type Constrained, constrained, FIRST_SPECIAL, textOf } from './grammar.ts';

const STRICT = TOOLS.map((tool) => ({ ...tool, strict: true }));

/** The ids of a text: special tokens, and bytes. */
function idsOf({ tokens }: Constrained, text: string): number[] {
  const ids = new Map([...tokens].map(([id, marker]) => [marker, id]));
  const markers = [...ids.keys()].map((marker) => marker.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
  const parts = markers.length === 0 ? [text] : text.split(new RegExp(`(${markers.join('|')})`));
  return parts.flatMap((part) => ids.get(part) ?? [...new TextEncoder().encode(part)]);
}

describe.each(FAMILIES)('the family $name', ({ name }) => {
  it.each([
    ['a demanded call', { choice: 'required', parallel: true }],
    ['free text with calls', { choice: 'auto', parallel: true }],
    ['an answer of a form, or calls', { choice: 'auto', parallel: true, format: { kind: 'json_object' } }],
  ] as const)('writes %s', (_, use) => {
    const grammar = constrained(name, { tools: STRICT, use, special: true });
    // The sampler writes members in any order.
    const program = { ...grammar.program, anyOrder: true } as const;
    const automaton = new Grammar(program, vocabularyOf([], grammar.tokens.size));
    const random = randomNumbers(11);
    for (let count = 0; count < 6; count += 1) {
      const text = textOf(grammar, random);
      const matcher = automaton.start();
      const refused = idsOf(grammar, text).findIndex((id) => !matcher.accept(id));
      expect(refused, JSON.stringify(text)).toBe(-1);
      expect(matcher.accepts, JSON.stringify(text)).toBe(true);
    }
  });

  it('writes a special token as a token only', () => {
    const grammar = constrained(name, { tools: STRICT, use: { choice: 'auto', parallel: true }, special: true });
    const opening = [...grammar.tokens.values()].find((marker) =>
      grammar.dialogue.grammar?.calls.opening.startsWith(marker),
    );
    if (opening === undefined) return;
    const automaton = new Grammar(grammar.program, vocabularyOf([], grammar.tokens.size));
    const closed = idsOf(grammar, name === 'qwen3-coder' || name === 'olmo3' ? '</think>' : '');
    const matcher = automaton.start();
    for (const id of closed) expect(matcher.accept(id)).toBe(true);
    const spelled = [...new TextEncoder().encode(opening)];
    expect(spelled.every((id) => matcher.accept(id))).toBe(false);
    const again = automaton.start();
    for (const id of closed) again.accept(id);
    expect(again.accept(idsOf(grammar, opening)[0] ?? FIRST_SPECIAL)).toBe(true);
  });
});
