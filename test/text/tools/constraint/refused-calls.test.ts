/** Calls that the grammar does not let through, tools without a grammar, and errors of schemas. */
import { describe, expect, it } from 'vitest';
import type { FunctionTool } from '../../../../src/text/template/conversation.ts';
import { MAX_FREE_NAME } from '../../../../src/text/tools/constraint/notations.ts';
import { MAX_VARIANTS } from '../../../../src/text/tools/constraint/ordered.ts';
import { prepareDialogue } from '../../../../src/text/tools/dialogue.ts';
import { profileOf } from '../../../../src/text/tools/profile.ts';
import { recognizes } from '../../../support/grammar/recognizer.ts';
import { FAMILIES, familyTemplate, TIME, TOOLS, WEATHER } from '../families.ts';
import { constrained } from './grammar.ts';

const AUTO = { choice: 'auto', parallel: true } as const;
const STRICT = TOOLS.map((tool) => ({ ...tool, strict: true }));

describe.each(FAMILIES)('the family $name', ({ name, facts, one, unknown }) => {
  const closed = facts.reasoning === 'forced' ? '</think>' : '';
  /** The form of the fixtures with the spellings that the grammar knows. */
  const known = (text: string): string => closed + text.replace("'Oslo'", '"Oslo"').replace(', "id": "abcdefgh1"', '');

  it('lets the call of the family through, and no call of an unknown tool', () => {
    const { program } = constrained(name, { tools: STRICT, use: AUTO });
    expect(recognizes(program, known(one))).toBe(true);
    expect(recognizes(program, known(unknown))).toBe(false);
  });

  it('lets no arguments through that the schema refuses', () => {
    const { program } = constrained(name, { tools: STRICT, use: AUTO });
    const wrong = known(one).replace(/\b3\b/, '3.5');
    expect(wrong).not.toBe(known(one));
    expect(recognizes(program, wrong)).toBe(false);
  });

  it('has any object as the arguments of a tool that is not strict', () => {
    const { program } = constrained(name, { tools: [WEATHER, { ...TIME, strict: true }], use: AUTO });
    expect(recognizes(program, known(one).replace(/\b3\b/, '3.5'))).toBe(true);
  });

  it('is free if the request demands nothing', () => {
    const template = familyTemplate(name);
    const prepared = (tools: readonly FunctionTool[], choice: 'auto' | 'none') =>
      prepareDialogue(
        profileOf(template),
        template,
        { messages: [{ role: 'user', content: 'Q' }], tools },
        { choice, parallel: true },
      );
    expect(prepared(TOOLS, 'auto').grammar).toBeUndefined();
    expect(prepared(STRICT, 'none').grammar).toBeUndefined();
    expect(prepared([], 'auto').grammar).toBeUndefined();
    expect(prepared(STRICT, 'auto').grammar).toBeDefined();
  });

  it('has any object as arguments if the schema of a demanded tool cannot be compiled', () => {
    const odd: FunctionTool = { name: 'get_odd', parameters: { type: 'object', properties: { a: { pattern: '(' } } } };
    const use = { choice: 'required', parallel: false } as const;
    const { loose } = constrained(name, { tools: [TIME, odd], use });
    expect(loose.map(([index, { path }]) => [index, path.slice(0, 5)])).toEqual([
      [1, ['tools', 1, 'parameters', 'properties', 'a']],
    ]);
    expect(() => constrained(name, { tools: [TIME, { ...odd, strict: true }], use })).toThrow(
      expect.objectContaining({ name: 'GrammarError', path: loose[0]?.[1].path }),
    );
  });
});

describe('a call of JSON', () => {
  const { program } = constrained('hermes', { tools: TOOLS, use: { choice: 'required', parallel: false } });
  const call = (name: string, city: string): string => `${name}", "arguments": {"city": ${JSON.stringify(city)}}}`;

  it('has white space in bounds, and no key twice', () => {
    const accepts = (rest: string): boolean => recognizes(program, rest);
    expect(accepts(`${call('get_weather', 'Oslo')}\n</tool_call>`)).toBe(true);
    expect(accepts(`${call('get_weather', 'Oslo')}</tool_call>`)).toBe(true);
    expect(accepts(`${call('get_weather', 'Oslo')}\n\n</tool_call>`)).toBe(false);
    expect(accepts('get_weather", "arguments": {"city": "a", "city": "b"}}</tool_call>')).toBe(false);
    expect(accepts('get_weather", "arguments": {}}</tool_call>')).toBe(false);
    expect(
      accepts(
        `${call('get_weather', 'a')}</tool_call>\n<tool_call>\n{"name": "get_time", "arguments": {}}</tool_call>`,
      ),
    ).toBe(false);
  });
});

describe('a text between tags', () => {
  const tool: FunctionTool = {
    name: 'run',
    parameters: {
      type: 'object',
      properties: { code: { type: 'string' }, size: { type: ['string', 'integer'] }, any: {} },
      required: ['code'],
    },
  };
  const { program } = constrained('qwen3-coder', { tools: [tool], use: { choice: { name: 'run' }, parallel: false } });
  const call = (...values: readonly (readonly [string, string])[]): string =>
    `${values.map(([key, value]) => `<parameter=${key}>\n${value}\n</parameter>`).join('\n')}\n</function>\n</tool_call>`;

  it('is as it stands, up to its end tag', () => {
    for (const value of ['', '5', 'a\n\n"b" < 1', '{"a": [', 'true', '</parameter'])
      expect(recognizes(program, call(['code', value]))).toBe(true);
    expect(recognizes(program, call(['code', 'a</parameter>b']))).toBe(false);
  });

  it('does not look like another value where the schema allows both', () => {
    for (const value of ['large', '12', '-3', 'truely', ''])
      expect(recognizes(program, call(['code', ''], ['size', value]))).toBe(true);
    // The reader would take these for a number, a word or a list.
    for (const value of ['1.5', ' 007 ', '0x1f', 'true', 'None', '[1', '"a"'])
      expect(recognizes(program, call(['code', ''], ['size', value]))).toBe(false);
    for (const value of ['free', '[1, {"a": null}]', '{"b": "</p"}', 'false'])
      expect(recognizes(program, call(['code', ''], ['any', value]))).toBe(true);
    expect(recognizes(program, call(['code', ''], ['any', '{"b": "</parameter>"}']))).toBe(false);
  });

  it('has a bound for arguments that require others, and for names that are not listed', () => {
    const chained = (count: number): FunctionTool => {
      const names = Array.from({ length: count }, (_, at) => `a${at}`);
      const properties = Object.fromEntries([...names, 'z'].map((name) => [name, {}]));
      const dependentRequired = Object.fromEntries(names.map((name) => [name, ['z']]));
      return { name: 'run', strict: true, parameters: { type: 'object', properties, dependentRequired } };
    };
    const use = { choice: { name: 'run' }, parallel: false } as const;
    expect(() => constrained('qwen3-coder', { tools: [chained(3)], use })).not.toThrow();
    expect(() => constrained('qwen3-coder', { tools: [chained(2 * MAX_VARIANTS)], use })).toThrow(
      expect.objectContaining({ name: 'GrammarError', problem: 'too_complex' }),
    );
    const open: FunctionTool = { name: 'run', parameters: { type: 'object' } };
    const any = constrained('qwen3-coder', { tools: [open], use }).program;
    expect(recognizes(any, call(['n'.repeat(MAX_FREE_NAME), '1']))).toBe(true);
    expect(recognizes(any, call(['n'.repeat(MAX_FREE_NAME + 1), '1']))).toBe(false);
  });

  it('comes in the order of the schema, with all required ones', () => {
    expect(recognizes(program, call(['code', 'x'], ['size', '1'], ['any', 'y']))).toBe(true);
    expect(recognizes(program, call(['size', '1'], ['code', 'x']))).toBe(false);
    expect(recognizes(program, call(['size', '1']))).toBe(false);
    expect(recognizes(program, call(['code', 'x'], ['code', 'y']))).toBe(false);
  });
});
