/** Answers of a form without tools: the reasoning before them stays free. */
import { describe, expect, it } from 'vitest';
import type { OutputFormat } from '../../../../src/grammar/output-format.ts';
import { randomNumbers } from '../../../support/grammar/random-tokens.ts';
import { recognizes } from '../../../support/grammar/recognizer.ts';
import { FAMILIES } from '../families.ts';
import { constrained, readOf, textOf } from './grammar.ts';

const FORMATS: readonly OutputFormat[] = [
  { kind: 'json_object' },
  { kind: 'schema', schema: { type: 'array', items: { type: 'string' } } },
  { kind: 'regex', pattern: '[a-c]{3,9}' },
  { kind: 'choice', choices: ['yes', 'no'] },
];
const use = (format: OutputFormat) => ({ choice: 'none', parallel: true, format }) as const;

function isOf(format: OutputFormat, text: string): boolean {
  if (format.kind === 'regex') return /^[a-c]{3,9}$/.test(text);
  if (format.kind === 'choice') return format.choices.includes(text);
  const value: unknown = JSON.parse(text);
  return format.kind === 'schema' ? Array.isArray(value) : !Array.isArray(value) && typeof value === 'object';
}

describe.each(FAMILIES)('the family $name', ({ name, facts, reasoning }) => {
  it.each(FORMATS)('answers in the form $kind, after any reasoning', (format) => {
    const random = randomNumbers(7);
    let thought = 0;
    for (const special of [true, false]) {
      const grammar = constrained(name, { use: use(format), special });
      for (let count = 0; count < 12; count += 1) {
        const text = textOf(grammar, random);
        const read = readOf(grammar, text);
        expect(isOf(format, read.content), JSON.stringify({ text, read })).toBe(true);
        if (read.reasoning !== '') thought += 1;
      }
    }
    expect(thought > 0).toBe(facts.reasoning !== 'none');
  });

  it('accepts an answer as the family writes it', () => {
    const { program } = constrained(name, { use: use({ kind: 'json_object' }) });
    const start = name === 'harmony' ? '<|channel|>final<|message|>' : '';
    const closed = facts.reasoning === 'forced' ? '</think>' : '';
    expect(recognizes(program, `${closed}${start}{"a": 1}`)).toBe(true);
    expect(recognizes(program, `${closed}${start}Sure: {"a": 1}`)).toBe(false);
    expect(recognizes(program, `${closed}${start}`)).toBe(false);
    if (reasoning !== undefined) expect(recognizes(program, `${reasoning}${start}{"a": 1}`)).toBe(true);
  });
});

describe('the reasoning', () => {
  const format = { kind: 'json_object' } as const;

  it('that the prompt has begun must end before the answer', () => {
    const { program } = constrained('qwen3-coder', { use: use(format) });
    expect(recognizes(program, 'Hm.\n</think>\n\n{}')).toBe(true);
    expect(recognizes(program, '{}')).toBe(false);
    expect(recognizes(program, `Hm.</think>${'\n'.repeat(4)}{}`)).toBe(false);
  });

  it('may be absent where the prompt has not begun it', () => {
    const { program } = constrained('hermes', { use: use(format) });
    expect(recognizes(program, '{}')).toBe(true);
    expect(recognizes(program, '<think>\n{} or {"a": 1}?\n</think>\n\n{}')).toBe(true);
    expect(recognizes(program, '<think>\n{}')).toBe(false);
  });

  it('of harmony is the channel of analysis', () => {
    const { program } = constrained('harmony', { use: use(format) });
    const hm = '<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant';
    expect(recognizes(program, `${hm}${hm}<|channel|>final<|message|>{}`)).toBe(true);
    expect(recognizes(program, `${hm}<|channel|>final<|message|>{}<|return|>`)).toBe(true);
    expect(recognizes(program, `${hm}{}`)).toBe(false);
    expect(recognizes(program, '<|channel|>commentary<|message|>Now.<|end|><|start|>assistant')).toBe(false);
  });

  it('of harmony is behind the beginning of an answer that the request gives', () => {
    const { program } = constrained('harmony', { use: use(format), answerStart: '{"a":' });
    expect(recognizes(program, '{}')).toBe(true);
  });

  it('is absent where the variables of the request close it', () => {
    const { program } = constrained('qwen3-coder', { use: use(format), answerStart: 'Hm.</think>' });
    expect(recognizes(program, '{}')).toBe(true);
  });
});
