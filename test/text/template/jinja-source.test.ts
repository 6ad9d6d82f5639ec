/** White space of a template, and the time to read it. */
import { readFileSync } from 'node:fs';
import { parse, tokenize } from '@huggingface/jinja';
import { describe, expect, it } from 'vitest';
import { Random } from '../../../src/engine/sampling/random.ts';
import { ChatTemplate } from '../../../src/text/template/chat-template.ts';
import { JinjaTemplate } from '../../../src/text/template/jinja/jinja.ts';
import { tokensOf } from '../../../src/text/template/jinja/jinja-source.ts';
import { sampleSize } from '../../support/sample.ts';

const { templates }: { readonly templates: Record<string, string> } = JSON.parse(
  readFileSync(new URL('../fixtures/chat-templates.json', import.meta.url), 'utf8'),
);

const byLibrary = (source: string): unknown =>
  outcome(() => tokenize(source, { lstrip_blocks: true, trim_blocks: true }));

function outcome(read: () => unknown): unknown {
  try {
    return read();
  } catch (error) {
    return String(error);
  }
}

const PARTS = [
  ...[' ', '  ', '\t', '\n', '\n\n', ' \n ', '\u2028', '\u00a0', 'a', 'é', '"', "'", '\\', '#', '%', '}', '{', '-'],
  ...['{%', '{%-', '%}', '-%}', '{{', '{{-', '}}', '-}}', '{#', '{#-', '#}', '-#}', '{%+', '+%}', '{-', '-}'],
  ...['{% if a %}', '{% endif %}', '{{ a }}', '{{- a -}}', '{# c #}', '{#- c -#}'],
];

describe('the white space of a template', () => {
  it.each(Object.entries(templates))('%s is read as the library reads it', (_, source) => {
    const text = source.replaceAll(/\r\n?/g, '\n');
    const hasGeneration = /generation\s*-?%\}/.test(text);
    expect(tokensOf(source)).toEqual(hasGeneration ? expect.any(Array) : byLibrary(text));
  });

  it('of random templates is read as the library reads it', () => {
    const random = Random.seeded(11);
    for (let round = 0; round < sampleSize(20_000, 4_000); round += 1) {
      const length = 1 + (random.next() % 12);
      const source = Array.from({ length }, () => PARTS[random.next() % PARTS.length]).join('');
      expect([source, outcome(() => tokensOf(source))]).toEqual([source, byLibrary(source)]);
    }
  });
});

describe('a large template is read in linear time:', () => {
  const spaces = ' '.repeat(250_000);

  it.each([
    ['spaces in the text', `{{ a }}${spaces}x`],
    ['spaces in a tag', `{{${spaces}a }}`],
    ['spaces before generation', `{%${spaces}generation %}{% endgeneration %}`],
    ['spaces after generation', `{% generation${spaces}%}{% endgeneration %}`],
    ['spaces after an unfinished tag', `{% generation${spaces}`],
    ['lines of spaces', '   \n'.repeat(40_000)],
    ['line ends', '\n'.repeat(250_000)],
    ['carriage returns', '\r'.repeat(250_000)],
    ['an open comment', `{#${spaces}`],
    ['comments', '{##}'.repeat(30_000)],
    ['filters in a row', `{{ a${'|b'.repeat(30_000)} }}`],
    ['a long list', `{{ [${'a,'.repeat(30_000)}] }}`],
  ])('%s', (_, source) => {
    const began = performance.now();
    outcome(() => parse(tokensOf(source)));
    // The library's pass takes a minute or more for 250 000 spaces.
    expect(performance.now() - began).toBeLessThan(15_000);
  });

  it.each([
    ['50 000 open tags', '{% if a %}'.repeat(50_000)],
    ['20 000 blocks in each other', '{% if a %}'.repeat(20_000) + '{% endif %}'.repeat(20_000)],
    ['20 000 parentheses', `{{ ${'('.repeat(20_000)}a${')'.repeat(20_000)} }}`],
  ])('%s are refused by the name of the file', (_, text) => {
    const began = performance.now();
    expect(() => new ChatTemplate({ name: 'default', file: 'chat_template.jinja', text, tokens: {} })).toThrow(
      /chat_template\.jinja/,
    );
    expect(performance.now() - began).toBeLessThan(15_000);
  });

  it('the white space is kept', () => {
    expect(new JinjaTemplate(`{{ a }}${spaces}x`).render({ a: 'a' })).toBe(`a${spaces}x`);
  });
});
