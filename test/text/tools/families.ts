/** The families of tool calls: a template of each, in our own words, and answers in its exact wire format. */
import { readFileSync } from 'node:fs';
import type { OutputParser, OutputPart } from '../../../src/text/output/parts.ts';
import { ChatTemplate } from '../../../src/text/template/chat-template.ts';
import type { FunctionTool } from '../../../src/text/template/conversation.ts';
import type { ProfileFacts } from '../../../src/text/tools/output-profile.ts';

export const TOKENS = { bos_token: '<s>', eos_token: '</s>' };

export const templateOf = (text: string): ChatTemplate =>
  new ChatTemplate({ name: 'default', file: 'test.jinja', text, tokens: TOKENS });

const templates = new Map<string, ChatTemplate>();

/** The template of a family; the same object each time, so that its profile is derived once. */
export function familyTemplate(name: string): ChatTemplate {
  const known = templates.get(name);
  if (known) return known;
  const file = new URL(`../fixtures/tool-templates/${name}.jinja`, import.meta.url);
  const template = templateOf(readFileSync(file, 'utf8'));
  templates.set(name, template);
  return template;
}

export const WEATHER: FunctionTool = {
  name: 'get_weather',
  description: 'The weather of a place',
  parameters: {
    type: 'object',
    properties: {
      city: { type: 'string' },
      days: { type: 'integer' },
      exact: { type: 'boolean' },
      near: { anyOf: [{ type: 'object' }, { type: 'null' }] },
      tags: { type: 'array', items: { type: 'string' } },
      level: { enum: [1, 2, 'high'] },
    },
    required: ['city'],
  },
};
export const TIME: FunctionTool = {
  name: 'get_time',
  parameters: { type: 'object', properties: { zone: { type: 'string' } } },
};
export const TOOLS = [WEATHER, TIME];

export interface Family {
  readonly name: string;
  readonly facts: ProfileFacts;
  /** `get_weather` with the city Oslo and 3 days. */
  readonly one: string;
  /** The same, and `get_time` with the zone UTC. */
  readonly two?: string;
  /** A call of `get_wind`, which is not offered. */
  readonly unknown: string;
  /** Text that looks like the beginning of a call, and is none. */
  readonly similar: string;
  /** Reasoning around the text `Hm.`, as an answer begins. */
  readonly reasoning?: string;
}

const thinking = (open: string, reasoning: 'optional' | 'forced' = 'optional') =>
  ({ reasoning, reasoning_open: open }) as const;
const THINK = '<think>\nHm.\n</think>\n\n';

export const FAMILIES: readonly Family[] = [
  {
    name: 'hermes',
    facts: { tools: 'json', parallel: true, ...thinking('<think>') },
    one: '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo", "days": 3}}\n</tool_call>',
    two: '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo", "days": 3}}\n</tool_call>\n<tool_call>\n{"name": "get_time", "arguments": {"zone": "UTC"}}\n</tool_call>',
    unknown: '<tool_call>\n{"name": "get_wind", "arguments": {"city": "Oslo"}}\n</tool_call>',
    similar: 'A <tool_calls> tag and <tool_call>, as in {"name": "get_weather"}.',
    reasoning: THINK,
  },
  {
    name: 'qwen3-coder',
    facts: { tools: 'tagged', parallel: true, ...thinking('<think>', 'forced') },
    one: '<tool_call>\n<function=get_weather>\n<parameter=city>\nOslo\n</parameter>\n<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>',
    two: '<tool_call>\n<function=get_weather>\n<parameter=city>\nOslo\n</parameter>\n<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=get_time>\n<parameter=zone>\nUTC\n</parameter>\n</function>\n</tool_call>',
    unknown: '<tool_call>\n<function=get_wind>\n<parameter=city>\nOslo\n</parameter>\n</function>\n</tool_call>',
    similar: 'Use <function get_weather> or <tool_call> get_weather.',
    reasoning: 'Hm.\n</think>\n\n',
  },
  {
    name: 'llama-json',
    facts: { tools: 'json', parallel: false, reasoning: 'none' },
    one: '{"name": "get_weather", "parameters": {"city": "Oslo", "days": 3}}',
    unknown: '{"name": "get_wind", "parameters": {"city": "Oslo"}}',
    similar: '{"name": "get_weather", "city": "Oslo"}',
  },
  {
    name: 'llama-pythonic',
    facts: { tools: 'pythonic', parallel: true, reasoning: 'none' },
    one: "[get_weather(city='Oslo', days=3)]",
    two: "[get_weather(city='Oslo', days=3), get_time(zone='UTC')]",
    unknown: "[get_wind(city='Oslo')]",
    similar: '[get_weather] and [1, 2] are lists.',
  },
  {
    name: 'lfm2',
    facts: { tools: 'pythonic', parallel: true, reasoning: 'none' },
    one: '<|tool_call_start|>[get_weather(city="Oslo", days=3)]<|tool_call_end|>',
    two: '<|tool_call_start|>[get_weather(city="Oslo", days=3), get_time(zone="UTC")]<|tool_call_end|>',
    unknown: '<|tool_call_start|>[get_wind(city="Oslo")]<|tool_call_end|>',
    similar: 'See <|tool_call_start|> in the manual [get_weather()].',
  },
  {
    name: 'olmo3',
    facts: { tools: 'pythonic', parallel: true, ...thinking('<think>', 'forced') },
    one: '<function_calls>get_weather(city="Oslo", days=3)</function_calls>',
    two: '<function_calls>get_weather(city="Oslo", days=3)\nget_time(zone="UTC")</function_calls>',
    unknown: '<function_calls>get_wind(city="Oslo")</function_calls>',
    similar: 'Say get_weather() in <function_calls> or <function>.',
    reasoning: 'Hm.</think>\n',
  },
  {
    name: 'mistral-nemo',
    facts: { tools: 'json', parallel: true, reasoning: 'none' },
    one: '[TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "Oslo", "days": 3}, "id": "abcdefgh1"}]',
    two: '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Oslo", "days": 3}, "id": "abcdefgh1"}, {"name": "get_time", "arguments": {"zone": "UTC"}, "id": "abcdefgh2"}]',
    unknown: '[TOOL_CALLS][{"name": "get_wind", "arguments": {"city": "Oslo"}}]',
    similar: 'The list [TOOL_CALL] is not [TOOL_CALLS] of [1].',
  },
  {
    name: 'mistral-small',
    facts: { tools: 'named', parallel: true, reasoning: 'none' },
    one: '[TOOL_CALLS]get_weather[CALL_ID]abcdefgh1[ARGS]{"city": "Oslo", "days": 3}',
    two: '[TOOL_CALLS]get_weather[CALL_ID]abcdefgh1[ARGS]{"city": "Oslo", "days": 3}[TOOL_CALLS]get_time[CALL_ID]abcdefgh2[ARGS]{"zone": "UTC"}',
    unknown: '[TOOL_CALLS]get_wind[CALL_ID]abcdefgh1[ARGS]{"city": "Oslo"}',
    similar: 'Write [TOOL_CALLS] get_weather with [ARGS].',
  },
  {
    name: 'devstral',
    facts: { tools: 'named', parallel: true, ...thinking('[THINK]') },
    one: '[TOOL_CALLS]get_weather[ARGS]{"city": "Oslo", "days": 3}',
    two: '[TOOL_CALLS]get_weather[ARGS]{"city": "Oslo", "days": 3}[TOOL_CALLS]get_time[ARGS]{"zone": "UTC"}',
    unknown: '[TOOL_CALLS]get_wind[ARGS]{"city": "Oslo"}',
    similar: 'Write [TOOL_CALLS]get_weather, then [ARGS].',
    reasoning: '[THINK]Hm.[/THINK]',
  },
  {
    name: 'phi4-mini',
    facts: { tools: 'json', parallel: true, reasoning: 'none' },
    one: 'functools[{"name": "get_weather", "arguments": {"city": "Oslo", "days": 3}}]',
    two: 'functools[{"name": "get_weather", "arguments": {"city": "Oslo", "days": 3}},{"name": "get_time", "arguments": {"zone": "UTC"}}]',
    unknown: 'functools[{"name": "get_wind", "arguments": {"city": "Oslo"}}]',
    similar: 'Python has functools.reduce and functools[0].',
  },
  {
    name: 'functiongemma',
    facts: { tools: 'gemma', parallel: true, reasoning: 'none' },
    one: '<start_function_call>call:get_weather{city:<escape>Oslo<escape>,days:3}<end_function_call>',
    two: '<start_function_call>call:get_weather{city:<escape>Oslo<escape>,days:3}<end_function_call><start_function_call>call:get_time{zone:<escape>UTC<escape>}<end_function_call>',
    unknown: '<start_function_call>call:get_wind{city:<escape>Oslo<escape>}<end_function_call>',
    similar: 'I <start_function_call>call:get_weather without arguments.',
  },
  {
    name: 'gemma4',
    facts: { tools: 'gemma', parallel: true, ...thinking('<|channel>thought') },
    one: '<|tool_call>call:get_weather{city:<|"|>Oslo<|"|>,days:3}<tool_call|>',
    two: '<|tool_call>call:get_weather{city:<|"|>Oslo<|"|>,days:3}<tool_call|><|tool_call>call:get_time{zone:<|"|>UTC<|"|>}<tool_call|>',
    unknown: '<|tool_call>call:get_wind{city:<|"|>Oslo<|"|>}<tool_call|>',
    similar: 'A <|tool_call> of call:get_weather{}.',
    reasoning: '<|channel>thought\nHm.\n<channel|>',
  },
  {
    name: 'harmony',
    facts: { tools: 'harmony', parallel: false, ...thinking('<|channel|>analysis') },
    one: '<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"city": "Oslo", "days": 3}<|call|>',
    two: '<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"city": "Oslo", "days": 3}<|call|><|start|>assistant to=functions.get_time<|channel|>commentary json<|message|>{"zone": "UTC"}<|call|>',
    unknown: '<|channel|>commentary to=functions.get_wind<|message|>{"city": "Oslo"}',
    similar: 'to=functions get_weather {"city": "Oslo"}',
    reasoning: '<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant',
  },
  {
    name: 'deepseek-v31',
    facts: { tools: 'named', parallel: true, ...thinking('<think>') },
    one: '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Oslo", "days": 3}<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    two: '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Oslo", "days": 3}<｜tool▁call▁end｜><｜tool▁call▁begin｜>get_time<｜tool▁sep｜>{"zone": "UTC"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    unknown:
      '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_wind<｜tool▁sep｜>{"city": "Oslo"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    similar: 'The mark <｜tool▁calls▁begin｜> comes before get_weather.',
    reasoning: '<think>Hm.</think>',
  },
  {
    name: 'deepseek-v32',
    facts: { tools: 'tagged', parallel: true, ...thinking('<think>') },
    one: '<｜DSML｜function_calls>\n<｜DSML｜invoke name="get_weather">\n<｜DSML｜parameter name="city" string="true">Oslo</｜DSML｜parameter>\n<｜DSML｜parameter name="days" string="false">3</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>',
    two: '<｜DSML｜function_calls>\n<｜DSML｜invoke name="get_weather">\n<｜DSML｜parameter name="city" string="true">Oslo</｜DSML｜parameter>\n<｜DSML｜parameter name="days" string="false">3</｜DSML｜parameter>\n</｜DSML｜invoke>\n<｜DSML｜invoke name="get_time">\n<｜DSML｜parameter name="zone" string="true">UTC</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>',
    unknown: '<｜DSML｜function_calls>\n<｜DSML｜invoke name="get_wind">\n</｜DSML｜invoke>\n</｜DSML｜function_calls>',
    similar: 'In <｜DSML｜function_calls> stands get_weather.',
    reasoning: '<think>Hm.</think>',
  },
  {
    name: 'glm45',
    facts: { tools: 'tagged', parallel: true, ...thinking('<think>') },
    one: '<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Oslo</arg_value>\n<arg_key>days</arg_key>\n<arg_value>3</arg_value>\n</tool_call>',
    two: '<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Oslo</arg_value>\n<arg_key>days</arg_key>\n<arg_value>3</arg_value>\n</tool_call>\n<tool_call>get_time\n<arg_key>zone</arg_key>\n<arg_value>UTC</arg_value>\n</tool_call>',
    unknown: '<tool_call>get_wind\n<arg_key>city</arg_key>\n<arg_value>Oslo</arg_value>\n</tool_call>',
    similar: 'A <tool_call>get_weather is the answer.',
    reasoning: '<think>Hm.</think>\n',
  },
  {
    name: 'kimi-k2',
    facts: { tools: 'named', parallel: true, reasoning: 'none' },
    one: '<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>{"city": "Oslo", "days": 3}<|tool_call_end|><|tool_calls_section_end|>',
    two: '<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>{"city": "Oslo", "days": 3}<|tool_call_end|><|tool_call_begin|>functions.get_time:1<|tool_call_argument_begin|>{"zone": "UTC"}<|tool_call_end|><|tool_calls_section_end|>',
    unknown:
      '<|tool_calls_section_begin|><|tool_call_begin|>functions.get_wind:0<|tool_call_argument_begin|>{"city": "Oslo"}<|tool_call_end|><|tool_calls_section_end|>',
    similar: 'The mark <|tool_call_begin|> is followed by functions.get_weather:0.',
  },
  {
    name: 'plain',
    facts: { tools: 'generic', parallel: true, reasoning: 'none' },
    one: '{"tool_calls": [{"name": "get_weather", "arguments": {"city": "Oslo", "days": 3}}]}',
    two: '```json\n{"tool_calls": [{"name": "get_weather", "arguments": {"city": "Oslo", "days": 3}}, {"name": "get_time", "arguments": {"zone": "UTC"}}]}\n```',
    unknown: '{"tool_calls": [{"name": "get_wind", "arguments": {"city": "Oslo"}}]}',
    similar: '```json\n{"answer": {"name": "get_weather", "arguments": {}}}\n```',
  },
];

export interface Read {
  readonly content: string;
  readonly reasoning: string;
  readonly calls: readonly { readonly name: string; readonly arguments: string }[];
  readonly unparsed: number;
}

/** The parts of an output, joined; `complete`: the model ended it. Checks the order of the parts and the ids of calls. */
export function readAll(parser: OutputParser, pieces: readonly string[], complete = false): Read {
  return joined([...pieces.flatMap((piece) => parser.push(piece)), ...parser.finish(complete)], parser.unparsed);
}

export function joined(parts: readonly OutputPart[], unparsed = 0): Read {
  const texts = { content: '', reasoning: '' };
  const calls: { name: string; arguments: string }[] = [];
  for (const part of parts) {
    if (part.kind === 'call') {
      if (part.index !== calls.length) throw new Error(`call ${part.index} is number ${calls.length}`);
      if (!/^[A-Za-z0-9]{9}$/.test(part.id)) throw new Error(`id ${part.id}`);
      calls.push({ name: part.name, arguments: '' });
    } else {
      if (part.text === '') throw new Error('empty part');
      if (part.kind !== 'arguments') texts[part.kind] += part.text;
      else {
        const call = calls[part.index];
        if (!call || part.index !== calls.length - 1) throw new Error(`arguments of call ${part.index}`);
        call.arguments += part.text;
      }
    }
  }
  return { ...texts, calls, unparsed };
}
