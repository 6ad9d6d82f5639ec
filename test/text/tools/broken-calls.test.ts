/** Calls as small models write them: broken, incomplete, long, repeated, or in the wrong place. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FunctionTool } from '../../../src/text/template/conversation.ts';
import { prepareDialogue } from '../../../src/text/tools/dialogue.ts';
import { profileOf } from '../../../src/text/tools/profile.ts';
import { MAX_HELD_UNITS, MAX_HELD_VALUE_UNITS } from '../../../src/text/tools/reading/input.ts';
import { ANY_TYPE, MAX_SCHEMA_LEVELS, MAX_SCHEMAS, typesOf } from '../../../src/text/tools/reading/schema-types.ts';
import type { ToolUse } from '../../../src/text/tools/tool-use.ts';
import { FAMILIES, familyTemplate, type Read, readAll, TIME, TOOLS, WEATHER } from './families.ts';

interface Options {
  readonly tools?: readonly FunctionTool[];
  /** The model has ended the output itself. */
  readonly complete?: boolean;
  readonly choice?: ToolUse['choice'];
}

function parserOf(name: string, { tools = TOOLS, choice = 'auto' }: Options = {}) {
  const template = familyTemplate(name);
  const question = { messages: [{ role: 'user', content: 'Q' }], tools };
  return prepareDialogue(profileOf(template), template, question, { choice, parallel: true }).parser();
}

/** The parts of an output, which must be the same for every division of the text. */
function read(name: string, text: string, options: Options = {}): Read {
  const of = (pieces: readonly string[]) => readAll(parserOf(name, options), pieces, options.complete);
  const whole = of([text]);
  if (text.length < 1_000) {
    expect(of(text.split(''))).toEqual(whole);
    for (let at = 1; at < text.length; at += 1) expect(of([text.slice(0, at), text.slice(at)])).toEqual(whole);
  } else expect(of(text.match(/[\s\S]{1,997}/g) ?? [])).toEqual(whole);
  return whole;
}

/** The calls of an output that has nothing else. */
function calls(name: string, text: string, options: Options = {}) {
  const { calls, ...rest } = read(name, text, options);
  expect(rest).toEqual({ content: '', reasoning: '', unparsed: 0 });
  return calls.map((call) => [call.name, JSON.parse(call.arguments)]);
}

const hermes = (json: string): string => `<tool_call>${json}</tool_call>`;
const noCall = (content: string) => ({ content, reasoning: '', calls: [], unparsed: 1 });

describe('arguments that are not an object', () => {
  it.each([
    '{"name": "get_time", "arguments": "not json"}',
    '{"name": "get_time", "arguments": "[1]"}',
    '{"name": "get_time", "arguments": [1]}',
    '{"name": "get_time", "arguments": 5, "id": "x"}',
    '{"name": "get_time", "id": "x", "arguments": {zone}}',
  ])('make no call: %s', (json) => {
    expect(read('hermes', hermes(json))).toEqual(noCall(hermes(json)));
  });

  it.each(['args', 'input', 'zone'])('and other keys make no call: %s', (key) => {
    const json = `{"name": "get_time", ${JSON.stringify(key)}: {"zone": "A"}}`;
    expect(read('hermes', hermes(json))).toEqual(noCall(hermes(json)));
    const list = `{"tool_calls": [${json}]}`;
    expect(read('plain', list)).toEqual(noCall(list));
    expect(read('llama-json', json)).toMatchObject({ content: json, calls: [] });
  });

  it('make a call without arguments if they are an empty text', () => {
    expect(calls('hermes', hermes('{"name": "get_time", "arguments": ""}'))).toEqual([['get_time', {}]]);
  });

  it('make no call behind the start that a choice of a tool gives', () => {
    const options = { choice: { name: 'get_time' } };
    for (const { name } of FAMILIES) expect(read(name, 'I cannot.', options)).toEqual(noCall('I cannot.'));
    expect(read('hermes', ' I cannot.', options)).toEqual(noCall(' I cannot.'));
    expect(read('mistral-small', '{I cannot.', options)).toEqual(noCall('{I cannot.'));
  });
});

describe('a call with open brackets', () => {
  const oslo = [['get_weather', { city: 'Oslo' }]];

  it.each([
    ['hermes', '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}\n</tool_call>'],
    ['hermes', '<tool_call>{"name": "get_weather", "arguments": {"city": "Oslo"\n</tool_call>'],
    ['hermes', '<tool_call>{"name": "get_weather", "arguments": {"city": "Oslo",</tool_call>'],
    ['hermes', '<tool_call>{"name": "get_weather", "arguments": {"city": "Oslo"}}}</tool_call>'],
    ['qwen3-coder', '</think><tool_call><function=get_weather><parameter=city>Oslo</parameter></tool_call>'],
    ['lfm2', '<|tool_call_start|>[get_weather(city="Oslo"<|tool_call_end|>'],
    ['gemma4', '<|tool_call>call:get_weather{city:<|"|>Oslo<|"|><tool_call|>'],
    ['kimi-k2', '<|tool_call_begin|>get_weather<|tool_call_argument_begin|>{"city": "Oslo"<|tool_call_end|>'],
    ['harmony', '<|channel|>commentary to=functions.get_weather<|message|>{"city": "Oslo"<|call|>'],
  ])('of %s is closed by the marker after it', (name, text) => {
    expect(calls(name, text)).toEqual(oslo);
  });

  it.each([
    ['hermes', '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}'],
    ['hermes', '<tool_call>{"name": "get_weather", "arguments": {"city": "Oslo"\n'],
    ['hermes', '<tool_call>{"name": "get_weather", "arguments": {"city": "Oslo"}</tool_c'],
    ['llama-json', '{"name": "get_weather", "parameters": {"city": "Oslo"'],
    ['mistral-small', '[TOOL_CALLS]get_weather[ARGS]{"city": "Oslo"'],
    ['qwen3-coder', '</think><function=get_weather><parameter=city>Oslo</parameter>\n'],
    ['harmony', '<|channel|>commentary to=functions.get_weather<|message|>{"city": "Oslo"'],
    ['plain', '{"tool_calls": [{"name": "get_weather", "arguments": {"city": "Oslo"'],
  ])('of %s is closed by the end of the output', (name, text) => {
    expect(calls(name, text, { complete: true })).toEqual(oslo);
  });

  it('stays open if a limit has cut the output', () => {
    const text = '<tool_call>{"name": "get_weather", "arguments": {"city": "Oslo"';
    expect(read('hermes', text)).toEqual({
      ...{ content: '', reasoning: '', calls: [{ name: 'get_weather', arguments: '{"city": "Oslo"' }], unparsed: 0 },
    });
    expect(calls('hermes', '<tool_call>{"name": "get_weather", "arguments": {"days": 3', { complete: true })).toEqual([
      ['get_weather', { days: 3 }],
    ]);
  });

  it('closes nested values', () => {
    const text = '<tool_call>{"name": "get_weather", "arguments": {"near": {"a": [1, {"b": "c"</tool_call>';
    expect(calls('hermes', text)).toEqual([['get_weather', { near: { a: [1, { b: 'c' }] } }]]);
  });

  it('is counted if its JSON stays broken', () => {
    const text = '<tool_call>{"name": "get_weather", "arguments": {"city": </tool_call>';
    expect(read('hermes', text, { complete: true })).toEqual({
      content: '</tool_call>',
      reasoning: '',
      calls: [{ name: 'get_weather', arguments: '{"city": ' }],
      unparsed: 1,
    });
    expect(read('hermes', '<tool_call>{"name": "get_weather", "arguments": {"city": "Os', { complete: true })).toEqual({
      ...{ content: '', reasoning: '', calls: [{ name: 'get_weather', arguments: '{"city": "Os' }], unparsed: 1 },
    });
  });
});

describe('values of Python without names', () => {
  it('get the names of the schema in order', () => {
    expect(calls('llama-pythonic', '[get_weather("Oslo", 3, exact=True), get_time("UTC")]')).toEqual([
      ['get_weather', { city: 'Oslo', days: 3, exact: true }],
      ['get_time', { zone: 'UTC' }],
    ]);
    expect(calls('lfm2', '<|tool_call_start|>[get_weather("Oslo", -3, True, {"a": [1]})]<|tool_call_end|>')).toEqual([
      ['get_weather', { city: 'Oslo', days: -3, exact: true, near: { a: [1] } }],
    ]);
  });

  it('are content if the schema has no more names', () => {
    const tools = [{ name: 'get_time' }];
    expect(read('llama-pythonic', '[get_time("UTC")]', { tools })).toEqual(noCall('[get_time("UTC")]'));
    expect(read('llama-pythonic', '[get_time("UTC", "CET")]')).toMatchObject({ unparsed: 1 });
  });
});

describe('a value between tags that the end of the output cuts', () => {
  const tagged = (key: string, value: string): string =>
    `</think><tool_call>\n<function=get_weather>\n<parameter=city>\nOslo\n</parameter>\n<parameter=${key}>\n${value}`;
  const cut = (key: string, value: string): string | undefined =>
    read('qwen3-coder', tagged(key, value)).calls[0]?.arguments;

  it('stays in the arguments', () => {
    expect(cut('tags', '["a", "b')).toBe('{"city": "Oslo", "tags": ["a", "b');
    expect(cut('days', '12\n</para')).toBe('{"city": "Oslo", "days": 12');
    expect(cut('level', 'hi"')).toBe('{"city": "Oslo", "level": "hi\\"');
    expect(read('qwen3-coder', tagged('tags', '["a'), { complete: true }).unparsed).toBe(1);
  });
});

describe('a tagged call', () => {
  it('begins with the first tag after its name', () => {
    const text = '<tool_call>\n<function=get_time>\nI am not sure.';
    expect(read('qwen3-coder', `</think>${text}`)).toEqual(noCall(text));
  });
});

describe('a long value', () => {
  const long = 'x'.repeat(MAX_HELD_UNITS + 1_000);

  it('may be arguments in a text of JSON', () => {
    const json = JSON.stringify({ name: 'get_time', arguments: JSON.stringify({ zone: long }) });
    expect(calls('hermes', hermes(json))).toEqual([['get_time', { zone: long }]]);
  });

  it('between tags may be a list, or a text that could be something else', () => {
    const union = { anyOf: [{ type: 'string' }, { type: 'null' }] };
    const either = { type: ['string', 'array'] };
    const parameters = { type: 'object', properties: { list: { type: 'array' }, union, either } };
    const options = { tools: [{ name: 'get_time', parameters }] };
    const tagged = (key: string, value: string): string =>
      `</think><function=get_time>\n<parameter=${key}>\n${value}\n</parameter>\n</function>\n</tool_call>`;
    const items = Array.from({ length: MAX_HELD_UNITS }, (_, index) => index);
    expect(calls('qwen3-coder', tagged('list', JSON.stringify(items)), options)).toEqual([
      ['get_time', { list: items }],
    ]);
    expect(calls('qwen3-coder', tagged('either', JSON.stringify(items)), options)).toEqual([
      ['get_time', { either: items }],
    ]);
    for (const text of [long, `{"a": "${long}"}`])
      expect(calls('qwen3-coder', tagged('union', text), options)).toEqual([['get_time', { union: text }]]);
    const endless = tagged('list', `[${' '.repeat(MAX_HELD_VALUE_UNITS)}]`);
    expect(readAll(parserOf('qwen3-coder', options), [endless]).unparsed).toBe(1);
    const text = `[${' '.repeat(MAX_HELD_VALUE_UNITS)}]`;
    expect(readAll(parserOf('qwen3-coder', options), [tagged('either', text)])).toMatchObject({
      ...{ unparsed: 0, calls: [{ arguments: JSON.stringify({ either: text }).replace(':', ': ') }] },
    });
  });
});

describe('the type of a value between tags', () => {
  let deep: object = { type: 'integer' };
  for (let level = 0; level < MAX_SCHEMA_LEVELS; level += 1) deep = { anyOf: [deep] };
  const place = { type: 'object', properties: {} };
  const parameters = {
    type: 'object',
    properties: {
      place: { $ref: '#/$defs/Place' },
      kind: { $ref: '#/definitions/Kind' },
      loop: { $ref: '#/$defs/Loop' },
      other: { $ref: 'https://example.com/schema' },
      free: {},
      always: true,
      described: { allOf: [{ $ref: '#/definitions/Kind' }, { description: 'a kind' }] },
      names: { enum: ['1', '2'] },
      deep,
    },
    $defs: { Place: place, Loop: { $ref: '#/$defs/Loop' } },
    definitions: { Kind: { type: 'string' } },
  };
  const options = { tools: [{ name: 'get_time', parameters: parameters as FunctionTool['parameters'] }] };
  const value = (key: string, text: string): unknown => {
    const tags = `</think><function=get_time>\n<parameter=${key}>\n${text}\n</parameter>\n</function>\n</tool_call>`;
    const [call] = calls('qwen3-coder', tags, options);
    return call?.[1][key];
  };

  it('follows local references', () => {
    expect(value('place', '{"city": "Oslo"}')).toEqual({ city: 'Oslo' });
    expect([value('kind', '12'), value('described', '12'), value('names', '1')]).toEqual(['12', '12', '1']);
  });

  it('is any type if references multiply', () => {
    let reads = 0;
    const bomb = {
      get anyOf() {
        reads += 1;
        return Array.from({ length: 100 }, () => ({ $ref: '#/$defs/Bomb' }));
      },
    };
    const types = typesOf({ name: 'f', parameters: { properties: { x: bomb }, $defs: { Bomb: bomb } } }, 'x');
    expect(types).toBe(ANY_TYPE);
    const all = {
      get allOf() {
        reads += 1;
        return Array.from({ length: 100 }, () => ({ $ref: '#/$defs/All' }));
      },
    };
    typesOf({ name: 'f', parameters: { properties: { x: all }, $defs: { All: all } } }, 'x');
    expect(reads).toBeLessThan(2 * MAX_SCHEMAS);
  });

  it('is any type if the schema has none', () => {
    for (const key of ['free', 'always', 'loop', 'other', 'deep'])
      expect(['12', '[1]', '"a"', 'null', 'None', 'a "b"', ''].map((text) => value(key, text))).toEqual([
        ...[12, [1], 'a', null, 'None', 'a "b"', ''],
      ]);
  });
});

describe('calls in an unusual place', () => {
  const call = hermes('{"name": "get_time", "arguments": {"zone": "A"}}');
  const time = [{ name: 'get_time', arguments: '{"zone": "A"}' }];

  it('end a reasoning that has no end', () => {
    expect(read('hermes', `<think>\nHm\n${call}`)).toEqual({ content: '', reasoning: 'Hm', calls: time, unparsed: 0 });
    expect(read('hermes', `<think>\n${call}`)).toMatchObject({ reasoning: '', calls: time });
    expect(read('hermes', `<think>Hm\n${call}\n</think>\n\nYes`)).toMatchObject({ content: 'Yes', calls: time });
    expect(read('hermes', `<think>\nHm\n${call}`, { tools: [] })).toMatchObject({ reasoning: `Hm\n${call}` });
    expect(read('hermes', `<think>\nHm ${call}\n</think>\nYes`)).toMatchObject({ content: 'Yes', calls: [] });
  });

  it('are a part of the reasoning if they are no calls', () => {
    const mention = 'A call is\n<tool_call>\n{"name": …}\n</tool_call>\nin this format.';
    expect(read('hermes', `<think>\n${mention}\n</think>\n\nYes`)).toEqual({
      ...{ content: 'Yes', reasoning: mention, calls: [], unparsed: 1 },
    });
    const unknown = hermes('{"name": "get_wind", "arguments": {}}');
    expect(read('hermes', `<think>\n${unknown}\nHm.\n${call}`)).toEqual({
      ...{ content: '', reasoning: `${unknown}\nHm.`, calls: time, unparsed: 1 },
    });
    expect(read('hermes', '<think>\nHm\n<tool_ca')).toMatchObject({ content: '', reasoning: 'Hm\n<tool_ca' });
    expect(read('hermes', '<think>\nHm\n<tool_call>{')).toMatchObject({ content: '', reasoning: 'Hm\n<tool_call>{' });
    const parser = parserOf('hermes');
    parser.push('<think>\nHm\n<tool_call>{"name": "get_time", "arguments": ');
    expect(parser.reasoning).toBe(true);
    parser.push('{}');
    expect(parser.reasoning).toBe(false);
  });

  it('follow the end of a reasoning that was not opened', () => {
    expect(read('hermes', `\n</think>\n\n${call}`)).toEqual({ content: '', reasoning: '', calls: time, unparsed: 0 });
    expect(read('hermes', '</think>\n\nYes')).toMatchObject({ content: 'Yes', reasoning: '' });
    expect(read('hermes', 'Yes </think>')).toMatchObject({ content: 'Yes </think>' });
  });

  it('share the markers of one call', () => {
    const object = '{"name": "get_time", "arguments": {"zone": "A"}}';
    for (const gap of [',', ', ', '\n', ',\n'])
      expect(read('hermes', hermes(object + gap + object))).toEqual({
        ...{ content: '', reasoning: '', calls: [...time, ...time], unparsed: 0 },
      });
  });

  it('are counted if text comes before the closing marker', () => {
    expect(read('hermes', `${call.slice(0, -12)} and more</tool_call>`)).toEqual({
      ...{ content: ' and more</tool_call>', reasoning: '', calls: time, unparsed: 1 },
    });
    expect(read('hermes', call.slice(0, -12), { complete: true }).unparsed).toBe(0);
    expect(read('hermes', `${call.slice(0, -12)}\n${call}`)).toMatchObject({ calls: [...time, ...time], unparsed: 0 });
  });

  it('of the generic format begin at the start of any line', () => {
    const object = '{"tool_calls": [{"name": "get_time", "arguments": {"zone": "A"}}]}';
    const expected = { content: 'Sure!', reasoning: '', calls: time, unparsed: 0 };
    expect(read('plain', `Sure!\n${object}`)).toEqual(expected);
    expect(read('plain', `Sure!\n\`\`\`json\n${object}\n\`\`\``)).toEqual(expected);
    expect(read('plain', `Sure!\n\`\`\`\n${object}\n\`\`\`\n`)).toEqual(expected);
    expect(read('plain', `{"a": 1}\n${object}`)).toMatchObject({ content: '{"a": 1}', calls: time });
    for (const text of [`Sure! ${object}`, 'So:\n```json\n{"a": 1}\n```\n{"b"', `Sure!\n\`\`\`ts\n${object.slice(2)}`])
      expect(read('plain', text)).toEqual({ content: text, reasoning: '', calls: [], unparsed: 0 });
    const unknown = `Sure!\n\`\`\`json\n${object.replace('get_time', 'get_wind')}\n\`\`\``;
    expect(read('plain', unknown)).toEqual(noCall(unknown));
  });

  it('of Gemma end the output where the result would follow', () => {
    for (const [name, text, response] of [
      [
        'functiongemma',
        '<start_function_call>call:get_time{zone:<escape>A<escape>}<end_function_call>',
        '<start_function_response>',
      ],
      ['gemma4', '<|tool_call>call:get_time{zone:<|"|>A<|"|>}<tool_call|>', '<|tool_response>'],
    ] as const) {
      const parser = parserOf(name);
      parser.push(text);
      expect(parser.done).toBe(false);
      parser.push(response);
      expect(parser.done).toBe(true);
      expect(calls(name, `${text}${response}response:get_time{value:1}`)).toEqual([['get_time', { zone: 'A' }]]);
      const template = familyTemplate(name);
      expect(profileOf(template).markers.all).toContain(response);
    }
  });
});

describe('the reasoning of harmony', () => {
  it('ends with its marker', () => {
    const parser = parserOf('harmony');
    parser.push('<|channel|>analysis<|message|>Hm.');
    expect(parser.reasoning).toBe(true);
    parser.push('<|end|>');
    expect(parser.reasoning).toBe(false);
  });
});

describe('any broken call', () => {
  it('gives the same parts for every division', () => {
    const texts = [
      ...[
        '<tool_call>',
        '</tool_call>',
        '{"name": "get_time"',
        ', "arguments": ',
        '{"zone": ',
        '"A"',
        '}',
        '[',
        ']',
        ',',
      ],
      ...['<think>', '</think>', '\n', '```json\n', '{"tool_calls": [', 'get_weather(', '"Oslo"', ')', '3', ' '],
      ...['<function=get_time>', '<parameter=zone>', '</parameter>', '</function>', '<start_function_response>'],
    ];
    const names = ['hermes', 'qwen3-coder', 'plain', 'llama-pythonic', 'llama-json', 'functiongemma'];
    fc.assert(
      fc.property(
        fc.constantFrom(...names),
        fc.array(fc.constantFrom(...texts), { maxLength: 16 }),
        fc.boolean(),
        (name, pieces, complete) => {
          const of = (parts: readonly string[]) => readAll(parserOf(name, { tools: [WEATHER, TIME] }), parts, complete);
          const whole = of([pieces.join('')]);
          expect(of(pieces)).toEqual(whole);
          expect(of(pieces.join('').split(''))).toEqual(whole);
          // An empty text is not valid JSON: a call always has the beginning of an object.
          for (const call of whole.calls) expect(call.arguments.charAt(0)).toBe('{');
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
