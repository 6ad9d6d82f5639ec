/** The cost per token of the parser of outputs, and the time to derive a profile from a chat template. */
import { readFileSync } from 'node:fs';
import { ChatTemplate } from '../dist/text/template/chat-template.js';
import { prepareDialogue } from '../dist/text/tools/dialogue.js';
import { profileOf } from '../dist/text/tools/profile.js';
import { goal, interleaved, rounds, section, spread, table } from './measure.mjs';

const ROUNDS = 9;
const TOKENS = 20_000;
const FAMILIES = ['hermes', 'qwen3-coder', 'llama-json', 'mistral-small', 'gemma4', 'harmony', 'plain'];
const TOOLS = [
  {
    name: 'get_weather',
    parameters: { type: 'object', properties: { city: { type: 'string' }, days: { type: 'array' } } },
  },
  { name: 'get_time', parameters: { type: 'object', properties: {} } },
];
const PROSE = ' The moon is low, and 1 < 2; a list [1] of "words" in {braces}.'.match(/ ?[^ ]{1,4}/g) ?? [];
const JSON_ARGUMENTS = ', "key": "a text of some words", "n": 12.5'.match(/ ?[^ ]{1,4}/g) ?? [];

/** Text that a reader must examine at each character, and the text before it. */
const HOSTILE = {
  'beginnings of markers': { tokens: ['<', '<tool', '<<<<', '</to'] },
  'markers without calls': { tokens: ['<tool_call>', '{', '<tool_call>', 'x'] },
  'white space': { tokens: ['\n', '    ', '\n\n', ' '], silent: true },
  'escapes in arguments': {
    tokens: ['\\n\\"', '\\u00', '41\\t', '\\\\'],
    before: '<tool_call>{"name": "get_weather", "arguments": {"a": "',
  },
  'beginnings of objects, without a format of calls': { family: 'plain', tokens: ['\n{', '\n{"', '\n``', '`\n{'] },
  'a list of a tagged call': {
    family: 'qwen3-coder',
    tokens: ['[1, ', '"a",', ' {"b', '": 2'],
    before: '<tool_call><function=get_weather><parameter=days>',
    silent: true,
  },
};

export async function parserCost() {
  const templates = Object.fromEntries(FAMILIES.map((name) => [name, templateOf(name)]));
  const fresh = FAMILIES.map((name) => {
    const start = performance.now();
    profileOf(templates[name]);
    return [name, performance.now() - start];
  });
  const again = await interleaved(
    rounds(ROUNDS),
    Object.fromEntries(FAMILIES.map((name) => [name, () => derivation(name)])),
  );
  const rows = [];
  const texts = [];
  for (const name of FAMILIES) {
    const sides = {
      text: () => micros(parserOf(templates[name]), PROSE),
      withoutTools: () => micros(parserOf(templates[name], []), PROSE),
      call: () =>
        micros(parserOf(templates[name]), JSON_ARGUMENTS, '<tool_call>{"name": "get_weather", "arguments": {"a": 1'),
    };
    const figures = await interleaved(
      rounds(ROUNDS),
      name === 'hermes' ? sides : { text: sides.text, withoutTools: sides.withoutTools },
    );
    texts.push(...figures.text);
    rows.push([
      name,
      spread(figures.text, 2),
      spread(figures.withoutTools, 2),
      figures.call ? spread(figures.call, 2) : '–',
      fresh.find(([one]) => one === name)[1].toFixed(1),
      spread(again[name], 1),
    ]);
  }
  const hostile = await interleaved(
    rounds(ROUNDS),
    Object.fromEntries(
      Object.entries(HOSTILE).map(([name, { family = 'hermes', ...text }]) => [
        name,
        () => micros(parserOf(templates[family]), text.tokens, text.before, text.silent),
      ]),
    ),
  );
  return section(
    'Cost of the parser of outputs',
    [
      `Microseconds of one \`push\` of a token of about four characters, ${TOKENS} tokens a round; milliseconds to derive the profile of a template, the first time in this process (in the order of the rows) and again.`,
      table(
        ['family', 'text, µs/token', 'text, request without tools', 'arguments', 'profile, first', 'profile, again'],
        rows,
      ),
      'Microseconds of one `push` of text that is made to be slow:',
      table(
        ['text', 'µs/token'],
        Object.entries(hostile).map(([name, figures]) => [name, spread(figures, 2)]),
      ),
    ],
    [goal('a token of text through the parser of tools and reasoning', { most: 5, unit: ' µs' }, texts)],
  );
}

function templateOf(name) {
  const file = new URL(`../test/text/fixtures/tool-templates/${name}.jinja`, import.meta.url);
  return new ChatTemplate({
    name,
    file: name,
    text: readFileSync(file, 'utf8'),
    tokens: { bos_token: '<s>', eos_token: '</s>' },
  });
}

function derivation(name) {
  const template = templateOf(name);
  const start = performance.now();
  profileOf(template);
  return performance.now() - start;
}

function parserOf(template, tools = TOOLS) {
  const conversation = { messages: [{ role: 'user', content: 'Q' }], tools, variables: { enable_thinking: false } };
  return prepareDialogue(profileOf(template), template, conversation, { choice: 'auto', parallel: true }).parser();
}

/** @param silent the text is held back: it need not give parts */
function micros(parser, tokens, before = '', silent = false) {
  parser.push(before);
  let parts = 0;
  const start = performance.now();
  for (let index = 0; index < TOKENS; index += 1) parts += parser.push(tokens[index % tokens.length]).length;
  const taken = performance.now() - start;
  if (!silent && parts < TOKENS / 4) throw new Error(`only ${parts} parts`);
  return (taken * 1_000) / TOKENS;
}
