/** The bounds of a template, and what it can reach. */
import { describe, expect, it } from 'vitest';
import { JinjaTemplate } from '../../../src/text/template/jinja.ts';
import { MAX_RENDER, RenderBudgetError } from '../../../src/text/template/render-limits.ts';

const render = (source: string, variables: Record<string, unknown> = {}): string =>
  new JinjaTemplate(source).render(variables);
const loop = (body: string): string => `{% for i in range(100000) %}${body}{% endfor %}`;
const grow = (first: string, step: string): string =>
  `{% set ns = namespace(a=${first}, b=${first}) %}{% for i in range(60) %}{% set ns.a = ${step} %}{% endfor %}`;

describe('a template without end is stopped', () => {
  it.each([
    ['loops in loops', loop(loop(loop('x')))],
    ['empty loops', loop(loop('{% set x = 1 %}'))],
    ['repeated sorts', loop('{% set x = range(100000) | list | sort %}')],
  ])('by the time or step limit: %s', (_, source) => {
    expect(() => render(source)).toThrow(/rendering takes (longer than 1000 ms|more than 5000000 steps)/);
  });

  it.each([
    ['a range', '{{ range(10 ** 9) | length }}'],
    ['a list doubled', `${grow('[1]', 'ns.a + ns.a')}{{ ns.a | length }}`],
    ['a list in itself, printed', `${grow('[1]', '[ns.a, ns.a]')}{{ ns.a }}`],
    ['a list in itself, as JSON', `${grow('[1]', '[ns.a, ns.a]')}{{ ns.a | tojson }}`],
    ['a list in itself, compared', `${grow('[1]', '[ns.a, ns.a]')}{{ ns.a == ns.a }}`],
  ])('by the limit on lists: %s', (_, source) => {
    expect(() => render(source)).toThrow(/longer than|wider than|limited to 100000/);
  });

  it.each([
    ['doubled by ~', `${grow("'ab'", 'ns.a ~ ns.a')}{{ ns.a }}`],
    ['doubled by +', `${grow("'ab'", 'ns.a + ns.a')}{{ ns.a }}`],
    ['multiplied', "{{ 'a' * 10 ** 9 }}"],
    ['replaced', "{{ ('a' * 1000000).replace('a', 'a' * 1000000) }}"],
    ['joined', "{{ range(100000) | join('a' * 1000000) }}"],
    ['printed', loop("{{ 'a' * 1000000 }}")],
    ['indented', "{{ 'a\\nb' | indent(500000000) }}"],
    ['made and dropped', loop("{% set x = ('a' * 4000000) | upper %}")],
  ])('by the limit on strings: %s', (_, source) => {
    expect(() => render(source)).toThrow(/longer than|wider than/);
  });

  it('if it calls itself without end', () => {
    expect(() => render('{% macro f(g) %}{{ g(g) }}{% endmacro %}{{ f(f) }}')).toThrow();
  });
});

describe('smaller limits of one rendering', () => {
  it.each([
    ['time', { ms: -1 }, /longer than -1 ms/],
    ['steps', { steps: 500 }, /more than 500 steps/],
    ['text', { text: 500 }, /longer than 500 characters/],
  ])('are reported as a limit: %s', (_, limits, message) => {
    const template = new JinjaTemplate("{% for i in range(1000) %}{{ 'a' ~ i }}{% endfor %}");
    const rendering = (): string => template.render({}, { ...MAX_RENDER, ...limits });
    expect(rendering).toThrow(RenderBudgetError);
    expect(rendering).toThrow(message);
    expect(template.render({}).length).toBeGreaterThan(3_000);
  });

  it('do not hide a refusal of the template', () => {
    const refusing = new JinjaTemplate("{{ raise_exception('no') }}");
    expect(() => refusing.render({}, MAX_RENDER)).not.toThrow(RenderBudgetError);
    expect(() => refusing.render({}, MAX_RENDER)).toThrow('no');
  });
});

describe('a template', () => {
  it('reads only its variables', () => {
    for (const path of ["''.constructor", '[].constructor', 'messages.__proto__', 'messages.constructor', 'process']) {
      expect(render(`{{ ${path} }}`, { messages: [] })).toBe('');
    }
    expect(render('{{ m.constructor }}{{ m.__proto__ }}{{ m.hasOwnProperty }}', { m: { role: 'user' } })).toBe('');
    expect(() => render("{{ ''.constructor.constructor('return process')() }}")).toThrow();
  });

  it('does not evaluate template syntax in a message', () => {
    expect(render('{{ m }}', { m: '{{ 7*7 }}{% x %}{# y #}' })).toBe('{{ 7*7 }}{% x %}{# y #}');
  });

  it('drops the variables of a loop body after each iteration', () => {
    const source = "{% for i in range(3) %}{% if i == 0 %}{% set x = 'set' %}{% endif %}[{{ x }}]{% endfor %}";
    expect(render(source)).toBe('[set][][]');
  });

  it('keeps the text printed before break and continue', () => {
    const source =
      '{% for i in range(5) %}{{ i }}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %},{% endfor %}';
    expect(render(source)).toBe('0,12,3');
  });

  it('renders more than a thousand messages within its limits', () => {
    const messages = Array.from({ length: 1_200 }, (_, at) => ({
      role: at % 2 ? 'assistant' : 'user',
      content: `m${at} `,
    }));
    const source = "{% for m in messages %}{{ '<' + m.role + '>' + m.content | trim + '</>' }}{% endfor %}";
    expect(render(source, { messages }).length).toBeGreaterThan(18_000);
  });

  it('renders Windows line ends like Unix line ends', () => {
    expect(render('a\r\n{% if true %}\r\nb\r\n{% endif %}\r\nc\r\n')).toBe('a\nb\nc');
  });

  it('iterates over strings, lists and mappings, not over numbers', () => {
    const source = "{{ ['a' is iterable, [] is iterable, {} is iterable, 1 is iterable, 1 is not iterable] }}";
    expect(render(source)).toBe('[True, True, True, False, True]');
  });

  it('is refused if it uses an undefined value, not rendered with a gap', () => {
    expect(() => render('{{ messages[5].content }}', { messages: [] })).toThrow('undefined value');
    expect(() => render("{{ 'a' + none }}")).toThrow();
    expect(() => render("{{ 'a' + 1 }}")).toThrow();
  });
});
