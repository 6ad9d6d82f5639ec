/** The reader of outputs: unusual calls, hostile text, and the limits of what it holds back. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_DEPTH } from '../../../src/grammar/budget.ts';
import { prepareDialogue } from '../../../src/text/tools/dialogue.ts';
import { profileOf } from '../../../src/text/tools/profile.ts';
import { MAX_HELD_UNITS, MAX_NAME_UNITS } from '../../../src/text/tools/reading/input.ts';
import { MAX_NESTING } from '../../../src/text/tools/reading/notation.ts';
import { FAMILIES, familyTemplate, joined, readAll, TOOLS } from './families.ts';

const QUESTION = { messages: [{ role: 'user', content: 'Q' }], tools: TOOLS };

function parserOf(name: string, parallel = true) {
  const template = familyTemplate(name);
  return prepareDialogue(profileOf(template), template, QUESTION, { choice: 'auto', parallel }).parser();
}
const read = (name: string, ...pieces: string[]) => readAll(parserOf(name), pieces);
const argumentsOf = (name: string, text: string): unknown => {
  const { calls, content, unparsed } = read(name, text);
  expect({ content, unparsed, calls: calls.length }).toEqual({ content: '', unparsed: 0, calls: 1 });
  return JSON.parse(calls[0]?.arguments ?? '');
};
const hermes = (json: string): string => `<tool_call>${json}</tool_call>`;

describe('text', () => {
  it('is returned as soon as its part is certain', () => {
    const parser = parserOf('hermes');
    expect(parser.push('Yes, ')).toEqual([{ kind: 'content', text: 'Yes, ' }]);
    expect(parser.push('1 < 2 <')).toEqual([{ kind: 'content', text: '1 < 2 ' }]);
    expect(parser.push('tool')).toEqual([]);
    expect(parser.push('box>')).toEqual([{ kind: 'content', text: '<toolbox>' }]);
    expect(parser.finish()).toEqual([]);
  });

  it('of calls streams: first the name, then pieces of the arguments as they stand', () => {
    const parser = parserOf('hermes');
    expect(parser.push('<tool_call>\n{"name": "get_wea')).toEqual([]);
    expect(parser.push('ther", "arg')).toEqual([]);
    expect(parser.push('uments": { "city" : "Os')).toMatchObject([
      { kind: 'call', index: 0, name: 'get_weather' },
      { kind: 'arguments', index: 0, text: '{ "city" : "Os' },
    ]);
    expect(parser.push('lo" } }\n</tool_call>')).toEqual([{ kind: 'arguments', index: 0, text: 'lo" }' }]);
    expect([parser.calls, parser.done, parser.unparsed]).toEqual([1, false, 0]);
  });

  it('between and after calls is content, without the white space between calls', () => {
    const call = hermes('{"name": "get_time", "arguments": {}}');
    const result = read('hermes', `First. ${call}\n\n${call} Then. ${call}\n`);
    expect(result.content).toBe('First.  Then. ');
    expect(result.calls).toHaveLength(3);
  });

  it('of the reasoning counts as reasoning until its end', () => {
    const parser = parserOf('hermes');
    expect(parser.reasoning).toBe(false);
    parser.push('<think>');
    expect(parser.reasoning).toBe(true);
    expect(joined(parser.push('\nHm\n\n</thin')).reasoning).toBe('Hm\n');
    parser.push('k>');
    expect(parser.reasoning).toBe(false);
    expect(parser.push('\n\nYes')).toEqual([{ kind: 'content', text: 'Yes' }]);
  });

  it('of a reasoning without an end is reasoning', () => {
    expect(read('hermes', '<think>\nHm <tool_call>\n')).toMatchObject({ reasoning: 'Hm <tool_call>\n', content: '' });
    expect(read('hermes', '<think>\n\n</think>\n\nYes')).toMatchObject({ reasoning: '', content: 'Yes' });
  });
});

describe('a call of JSON', () => {
  it.each([
    ['arguments before the name', '{"arguments": {"zone": "A"}, "name": "get_time"}'],
    ['parameters', '{"name": "get_time", "parameters": {"zone": "A"}}'],
    ['other keys', '{"id": "x", "type": "function", "name": "get_time", "arguments": {"zone": "A"}, "n": [1, {}]}'],
    ['the form of an API', '{"type": "function", "function": {"name": "get_time", "arguments": {"zone": "A"}}}'],
    ['arguments as a text of JSON', '{"name": "get_time", "arguments": "{\\"zone\\": \\"A\\"}"}'],
    ['commas too many', '{"name": "get_time", "arguments": {"zone": "A",},}'],
    ['the prefix of a namespace', '{"name": "functions.get_time", "arguments": {"zone": "A"}}'],
  ])('may have %s', (_, json) => {
    expect(argumentsOf('hermes', hermes(json))).toEqual({ zone: 'A' });
  });

  it('without arguments has an empty object', () => {
    expect(argumentsOf('hermes', hermes('{"name": "get_time"}'))).toEqual({});
    expect(argumentsOf('hermes', hermes('{"name": "get_time", "arguments": null}'))).toEqual({});
  });

  it('keeps markers, escapes and every character inside of texts', () => {
    const zone = '</tool_call> <tool_call>{"name": "x"} \\ " \n\t\u0001 Łódź 😀 \u2028 </think>';
    expect(argumentsOf('hermes', hermes(JSON.stringify({ name: 'get_time', arguments: { zone } })))).toEqual({ zone });
  });

  it('gets escapes where JSON wants them', () => {
    const text = hermes('{"name": "get_time", "arguments": {"zone": "a\nb\\d \\u12 \\\' \ud83d\\ude00"}}');
    expect(argumentsOf('hermes', text)).toEqual({ zone: "a\nb\\d \\u12 ' 😀" });
  });

  it('with broken arguments keeps its name, and the rest is content', () => {
    const text = hermes('{"name": "get_time", "arguments": {"zone": yes}}');
    expect(read('hermes', text)).toEqual({
      content: 'yes}}</tool_call>',
      reasoning: '',
      calls: [{ name: 'get_time', arguments: '{"zone": ' }],
      unparsed: 1,
    });
  });

  it('is content if its name is not a text or is missing', () => {
    for (const json of ['{"name": 1, "arguments": {}}', '{"arguments": {}}', '{}', '[]', '{"name"}'])
      expect(read('hermes', hermes(json))).toMatchObject({ content: hermes(json), calls: [], unparsed: 1 });
  });

  it('without markers is a call only with an offered name and arguments', () => {
    for (const json of [
      '{"name": "Alice", "age": 3}',
      '{"name": "get_time"}',
      '{"a": {"name": "get_time"}}',
      '{"a"',
      '[1]',
    ])
      expect(read('llama-json', json)).toMatchObject({ content: json, calls: [], unparsed: 0 });
    expect(argumentsOf('llama-json', '<|python_tag|>{"name": "get_time", "parameters": {}}')).toEqual({});
    const answer = 'Use {"name": "get_time", "parameters": {}}';
    expect(read('llama-json', answer)).toMatchObject({ content: answer, calls: [] });
  });

  it('without markers does not hold back an answer of JSON', () => {
    const parser = parserOf('llama-json');
    expect(joined([...parser.push('{"answer'), ...parser.push('": [1, ')]).content).toBe('{"answer": [1, ');
    for (const name of ['llama-json', 'plain']) {
      const person = parserOf(name);
      expect(person.push('{"name": "Alice", "ag')).toEqual([]);
      expect(joined(person.push('e": 3, "friends": [')).content).toBe('{"name": "Alice", "age": 3, "friends": [');
    }
  });
});

describe('a call between tags', () => {
  const tagged = (...values: [string, string][]): string => {
    const tags = values.map(([key, value]) => `<parameter=${key}>\n${value}\n</parameter>\n`).join('');
    return `</think><tool_call>\n<function=get_weather>\n${tags}</function>\n</tool_call>`;
  };

  it('has the types of the schema', () => {
    const text = tagged(
      ...(
        [
          ['city', '12'],
          ['days', '3'],
          ['exact', 'True'],
          ['near', '{"a": [1]}'],
          ['tags', '[\'x\', "y"]'],
        ] as const
      ).map(([key, value]): [string, string] => [key, value]),
      ['level', '2'],
      ['other', '5'],
    );
    expect(argumentsOf('qwen3-coder', text)).toEqual({
      ...{ city: '12', days: 3, exact: true, near: { a: [1] }, tags: ['x', 'y'], level: 2, other: '5' },
    });
    expect(argumentsOf('qwen3-coder', tagged(['days', 'many'], ['near', 'null'], ['level', 'high']))).toEqual({
      ...{ days: 'many', near: null, level: 'high' },
    });
  });

  it('keeps line breaks and tags inside of texts', () => {
    const city = '\n a\n\n"<b>" </parameters> \\n {\n';
    expect(argumentsOf('qwen3-coder', tagged(['city', city]))).toEqual({ city });
    expect(argumentsOf('qwen3-coder', tagged(['city', '']))).toEqual({ city: '' });
    expect(argumentsOf('qwen3-coder', tagged())).toEqual({});
  });

  it('may begin with the second part of its marker', () => {
    const text = '</think><function=get_time>\n<parameter=zone>\nA\n</parameter>\n</function>\n</tool_call>';
    expect(argumentsOf('qwen3-coder', text)).toEqual({ zone: 'A' });
  });

  it('tells texts from other values if its tags do', () => {
    const value = (key: string, string: boolean, text: string): string =>
      `<｜DSML｜parameter name="${key}" string="${string}">${text}</｜DSML｜parameter>\n`;
    const text = `<｜DSML｜function_calls>\n<｜DSML｜invoke name="get_weather">\n${value('days', true, '3')}${value('x', false, '[1]')}</｜DSML｜invoke>\n</｜DSML｜function_calls>`;
    expect(argumentsOf('deepseek-v32', text)).toEqual({ days: '3', x: [1] });
  });
});

describe('a call of another notation', () => {
  it('of Python becomes JSON', () => {
    const call = `[get_weather(city='it\\'s "x"\\n\\u00e9\\x41\\q', days=1_000, exact=True, near={'a': None, "b": (1, -2.5e3,)}, tags=[], level=+.5)]`;
    expect(argumentsOf('llama-pythonic', call)).toEqual({
      ...{ city: 'it\'s "x"\néA\\q', days: 1000, exact: true, near: { a: null, b: [1, -2500] }, tags: [], level: 0.5 },
    });
    expect(argumentsOf('llama-pythonic', '[get_time()]')).toEqual({});
  });

  it('of Gemma becomes JSON', () => {
    const text =
      '<|tool_call>call:get_weather{city:<|"|>a "b" {c}, \\n:<|"|>,near:{deep:{list:[<|"|>x<|"|>,1,true,null]}},level:high}<tool_call|>';
    expect(argumentsOf('gemma4', text)).toEqual({
      ...{ city: 'a "b" {c}, \\n:', near: { deep: { list: ['x', 1, true, null] } }, level: 'high' },
    });
  });

  it('of harmony has the recipient in any part of the header', () => {
    const preamble = '<|channel|>commentary<|message|>I look.<|end|><|start|>assistant';
    const call = ' to=functions.get_time<|channel|>commentary <|constrain|>json<|message|>{"zone":"A"}<|call|>';
    expect(read('harmony', preamble + call)).toMatchObject({
      ...{ content: 'I look.', calls: [{ name: 'get_time', arguments: '{"zone":"A"}' }] },
    });
    expect(read('harmony', 'Plain text.<|return|>')).toMatchObject({ content: 'Plain text.', reasoning: '' });
  });
});

describe('the name of a tool', () => {
  it.each(['ns.get-time:1', 'functions.now', 'a/b'])('may have the form of a namespace or an id: %s', (name) => {
    const tools = [{ name }];
    const parser = (family: string) => {
      const template = familyTemplate(family);
      const question = { messages: [{ role: 'user', content: 'Q' }], tools };
      return prepareDialogue(profileOf(template), template, question, { choice: 'auto', parallel: true }).parser();
    };
    const texts = [
      ['hermes', hermes(JSON.stringify({ name, arguments: {} }))],
      ['harmony', `<|channel|>commentary to=functions.${name}<|message|>{}<|call|>`],
      [
        'kimi-k2',
        `<|tool_calls_section_begin|><|tool_call_begin|>functions.${name}:0<|tool_call_argument_begin|>{}<|tool_call_end|>`,
      ],
    ] as const;
    for (const [family, text] of texts)
      expect(readAll(parser(family), [text])).toMatchObject({ content: '', calls: [{ name, arguments: '{}' }] });
  });
});

describe('limits', () => {
  it('bound what is held back', () => {
    const long = 'x'.repeat(MAX_HELD_UNITS + 10);
    const first = `<tool_call>{"arguments": {"zone": "${long}"}, "name": "get_time"}</tool_call>`;
    expect(read('hermes', first)).toMatchObject({ content: first, calls: [], unparsed: 1 });
    expect(readAll(parserOf('hermes'), first.split(/(?<=x{100})/))).toMatchObject({ content: first, calls: [] });
    expect(argumentsOf('hermes', hermes(`{"name": "get_time", "arguments": {"zone": "${long}"}}`))).toEqual({
      zone: long,
    });
    const space = `<tool_call>${' '.repeat(MAX_HELD_UNITS + 10)}`;
    expect(read('hermes', space, 'x').content).toBe(`${space}x`);
    const name = hermes(`{"name": "${'n'.repeat(MAX_NAME_UNITS + 1)}"}`);
    expect(read('hermes', name)).toMatchObject({ content: name, calls: [] });
  });

  it('bound the nesting of arguments', () => {
    const nested = (levels: number): string =>
      hermes(`{"name": "get_time", "arguments": {"zone": ${'['.repeat(levels)}${']'.repeat(levels)}}}`);
    expect(read('hermes', nested(MAX_NESTING - 1))).toMatchObject({ content: '', unparsed: 0 });
    expect(read('hermes', nested(MAX_NESTING)).unparsed).toBe(1);
    // A call of the deepest schema is still a call.
    expect(MAX_NESTING).toBeGreaterThanOrEqual(MAX_DEPTH);
  });
});

describe('any text', () => {
  const markers = FAMILIES.flatMap(({ one, unknown, similar }) => [one, unknown, similar]).flatMap((text) =>
    text.split(/(?<=[>\]"{(:])/),
  );
  const hostile = fc.array(fc.oneof(fc.constantFrom(...markers, ' ', '\n', '\\', '😀'), fc.string({ maxLength: 3 })), {
    maxLength: 30,
  });

  it.each(FAMILIES.map(({ name }) => name))(
    'of %s gives the same parts for every division, and loses nothing',
    (name) => {
      fc.assert(
        fc.property(hostile, fc.boolean(), (pieces, parallel) => {
          const text = pieces.join('');
          const whole = readAll(parserOf(name, parallel), [text]);
          expect(readAll(parserOf(name, parallel), pieces)).toEqual(whole);
          expect(readAll(parserOf(name, parallel), text.split(''))).toEqual(whole);
          for (const call of whole.calls) expect(TOOLS.map((tool) => tool.name)).toContain(call.name);
          // Outside of reasoning, only calls take text away.
          if (whole.calls.length === 0 && whole.reasoning === '' && name !== 'harmony')
            expect(
              text.replace(/^\s*(?:<think>|\[THINK\]|<\|channel>thought)?\s*(?:<\/think>|\[\/THINK\])?\s*/, '').trim(),
            ).toBe(whole.content.trim());
        }),
        { numRuns: 50 },
      );
    },
  );
});
