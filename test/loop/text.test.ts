/** No prompt and no message holds the event loop: tokenizers of every family, and templates of any kind. */
import { describe, expect, test } from 'vitest';
import { AUTO_PROMPT_CHARS } from '../../src/contract/execute.ts';
import { JinjaTemplate } from '../../src/text/template/jinja/jinja.ts';
import { RenderBudgetError } from '../../src/text/template/render-limits.ts';
import { EncodeError } from '../../src/text/tokenizer/encode-error.ts';
import { LOOP_RENDER, LOOP_STAGE_UNITS, LOOP_UNITS } from '../../src/text/tokenizer/tokenizer.ts';
import { FAMILIES, pipelineOf } from '../text/tokenizer/families.ts';
import { CEILING_MS, callMs } from './longest-turn.ts';

/** Repeated to the longest text: runs of one class, alternations, marks, expansions, joined emoji. */
const UNITS = [
  'a',
  ' ',
  'a ',
  ' \n',
  '1',
  "'",
  '本',
  '각',
  'ﷺ',
  '\u0301',
  '\u0315\u0316',
  '😀',
  '👩\u200d',
  '🇩',
  '▁',
  'क्',
  'Aa',
  '\ud800',
];

/** The longest prompt that a worker accepts by default. */
const LONGEST_CHARS = AUTO_PROMPT_CHARS.most;

describe.each(FAMILIES)('a tokenizer in the style of %s', (name) => {
  const pipeline = pipelineOf(name);

  test.each(['a', ' ', '\u2028', '本'])('the length of the longest prompt is compared with the context: %j', (unit) => {
    // A text as the body gives it: a repeated unit is a tree of parts, whose units take longer to read.
    const text = JSON.parse(JSON.stringify(unit.repeat(LONGEST_CHARS))) as string;
    const compare = (): void => {
      try {
        pipeline.checkFits(text, 131_071);
      } catch (error) {
        if (!(error instanceof EncodeError)) throw error;
      }
    };
    expect(callMs(compare)).toBeLessThan(CEILING_MS);
  });

  test.each(UNITS.map((unit) => JSON.stringify(unit)))('%s in a text of the longest length', (unit) => {
    const text = (JSON.parse(unit) as string).repeat(LOOP_UNITS).slice(0, LOOP_UNITS);
    const encode = (): void => {
      try {
        pipeline.encode(text, true, { units: LOOP_STAGE_UNITS, tokens: Number.POSITIVE_INFINITY });
      } catch (error) {
        if (!(error instanceof EncodeError)) throw error; // The thread encodes a text that grows too much.
      }
    };
    expect(callMs(encode)).toBeLessThan(CEILING_MS);
  });
});

const LOOP = (step: string): string =>
  `{% set n = namespace(x='ab' * 10000) %}{% for i in range(500) %}${step}{% endfor %}`;

test.each([
  ['a long range', '{% set x = range(100000) %}'],
  ['steps', LOOP('{% set y = i %}'.repeat(60))],
  ['nested loops', LOOP('{% for j in range(500) %}{% endfor %}')],
  ['strings that grow', LOOP('{% set n.x = n.x + n.x %}')],
  ['title case', LOOP('{% set y = n.x.title() %}')],
  ['replacements', LOOP("{% set y = n.x.replace('a', 'bbbb') %}")],
  ['lists', LOOP('{% set y = n.x | list | reverse | list %}')],
  ['sorts', LOOP('{% set y = range(1000) | list | sort(reverse=true) %}')],
  ['JSON', LOOP('{% set y = range(1000) | list | tojson %}')],
  ['splits', LOOP("{% set y = n.x.split('a') %}")],
  ['a macro that calls itself', '{% macro f(x) %}{{ f(x + x) }}{% endmacro %}{{ f("a") }}'],
])('a template with %s', (_, source) => {
  const template = new JinjaTemplate(source);
  const render = (): void => {
    try {
      template.render({ messages: [{ role: 'user', content: 'x'.repeat(LOOP_UNITS) }] }, LOOP_RENDER);
      expect.unreachable('The limits of a rendering end this template.');
    } catch (error) {
      if (!(error instanceof RenderBudgetError) && !/longer than|call stack/.test(String(error))) throw error;
    }
  };
  expect(callMs(render)).toBeLessThan(CEILING_MS);
});
