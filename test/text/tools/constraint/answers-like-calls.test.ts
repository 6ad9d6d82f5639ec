/** Answers of a form that look like a call, beside tools of a format without markers. */
import { describe, expect, it } from 'vitest';
import type { OutputFormat } from '../../../../src/grammar/output-format.ts';
import { randomNumbers } from '../../../support/grammar/random-tokens.ts';
import { recognizes } from '../../../support/grammar/recognizer.ts';
import { TOOLS } from '../families.ts';
import { constrained, readOf, textOf } from './grammar.ts';

const FORMS: readonly OutputFormat[] = [
  { kind: 'json_object' },
  { kind: 'schema', schema: true },
  {
    kind: 'schema',
    schema: {
      type: 'object',
      properties: {
        name: { enum: ['get_time', 'Bob', 'get_weather'] },
        parameters: { type: 'object' },
        arguments: { const: {} },
        function: { anyOf: [{ type: 'object', properties: { name: { type: 'string' } } }, { type: 'null' }] },
      },
      required: ['name', 'parameters'],
    },
  },
  {
    kind: 'schema',
    schema: {
      type: 'object',
      properties: {
        tool_calls: {
          type: 'array',
          items: { type: 'object', properties: { name: { enum: ['get_time', 'Bob'] } }, required: ['name'] },
        },
      },
      required: ['tool_calls'],
    },
  },
  {
    kind: 'schema',
    schema: { type: 'object', properties: { name: { type: 'string', maxLength: 9 }, function: { $ref: '#' } } },
  },
  {
    kind: 'schema',
    schema: {
      type: 'object',
      properties: { name: { enum: ['get_time', 'Bob'] }, tool_calls: { type: 'array', items: { $ref: '#' } } },
      required: ['name'],
    },
  },
  { kind: 'regex', pattern: '[{]"(name|a)": "(get_time|Bob)", "(parameters|arguments)": [{][}][}]' },
  { kind: 'choice', choices: ['{"name": "get_time", "arguments": {}}', '{"name": "Bob", "arguments": {}}', 'no'] },
];

describe.each(['llama-json', 'plain', 'llama-pythonic'])('the family %s', (name) => {
  const grammarOf = (format: OutputFormat) =>
    constrained(name, { tools: TOOLS, use: { choice: 'auto', parallel: true, format } });
  const isCall = (text: string): boolean => /^[[{](?:"name": ?"|"tool_calls": ?\[\{"name": ?"|)get_/.test(text);

  it.each(FORMS)('reads each output as the part that the grammar means: %j', (format) => {
    const grammar = grammarOf(format);
    const random = randomNumbers(3);
    let answers = 0;
    for (let count = 0; count < 60; count += 1) {
      const text = textOf(grammar, random);
      const { calls, content, unparsed } = readOf(grammar, text);
      const shown = JSON.stringify({ text, calls, content });
      expect(unparsed, shown).toBe(0);
      if (calls.length === 0) {
        answers += 1;
        expect(content, shown).toBe(text);
      } else expect({ shown, content, isCall: isCall(text) }).toEqual({ shown, content: '', isCall: true });
    }
    expect(answers).toBeGreaterThan(0);
  });

  it('keeps the answers that are no calls', () => {
    const { program } = grammarOf({ kind: 'json_object' });
    for (const text of ['{"a": {"name": "get_time", "parameters": {}}}', '{"parameters": {}}', '{}'])
      expect({ text, accepted: recognizes(program, text) }).toEqual({ text, accepted: true });
  });
});

describe('an answer that can only be a call', () => {
  const use = (format: OutputFormat) => ({ choice: 'auto', parallel: true, format }) as const;
  const call = { name: 'get_time', parameters: {} };
  it.each<[string, OutputFormat]>([
    ['llama-json', { kind: 'schema', schema: { const: call } }],
    ['llama-json', { kind: 'choice', choices: [JSON.stringify(call)] }],
    ['llama-json', { kind: 'regex', pattern: '[{]"name": "get_time", "parameters": [{][}][}]' }],
    ['plain', { kind: 'schema', schema: { enum: [{ tool_calls: [{ name: 'get_time' }] }] } }],
    ['hermes', { kind: 'choice', choices: ['<tool_call>'] }],
  ])('is refused: %s, %j', (name, format) => {
    expect(() => constrained(name, { tools: TOOLS, use: use(format) })).toThrow(
      expect.objectContaining({ name: 'GrammarError', problem: 'unsatisfiable', path: ['format'] }),
    );
  });

  it('is accepted without tools', () => {
    const { program } = constrained('llama-json', { use: use({ kind: 'schema', schema: { const: call } }) });
    expect(recognizes(program, JSON.stringify(call).replace('","', '", "'))).toBe(true);
  });
});
