/** The bounds of a template, and what it can reach. */
import { describe, expect, it } from 'vitest';
import { JinjaTemplate } from '../../../src/text/template/jinja/jinja.ts';
import { MAX_RENDER, RenderBudgetError } from '../../../src/text/template/render-limits.ts';

const render = (source: string, variables: Record<string, unknown> = {}): string =>
  new JinjaTemplate(source).render(variables);
const loop = (body: string): string => `{% for i in range(100000) %}${body}{% endfor %}`;
const pairs = Array.from({ length: 5_000 }, (_, at) => [`key ${at}`, at]);
const grow = (first: string, step: string): string =>
  `{% set ns = namespace(a=${first}, b=${first}) %}{% for i in range(60) %}{% set ns.a = ${step} %}{% endfor %}`;

const manyLong =
  "{% set ns = namespace(a=['a' * 1000000]) %}{% for i in range(17) %}{% set ns.a = ns.a + ns.a %}{% endfor %}";

describe('a template without end is stopped', () => {
  it.each([
    ['loops in loops', loop(loop(loop('x')))],
    ['empty loops', loop(loop('{% set x = 1 %}'))],
  ])('by the time or step limit: %s', (_, source) => {
    expect(() => render(source)).toThrow(/rendering takes (longer than 1000 ms|more than 5000000 steps)/);
  });

  it('by the time limit, or on a fast machine by the limit on lists: repeated sorts', () => {
    const sorts = loop('{% set x = range(4000) | list | sort %}');
    expect(() => render(sorts)).toThrow(
      /rendering takes longer than 1000 ms|all strings and lists together are longer/,
    );
  });

  it.each([
    ['a range', '{{ range(10 ** 9) | length }}'],
    ['a list doubled', `${grow('[1]', 'ns.a + ns.a')}{{ ns.a | length }}`],
    ['a list in itself, printed', `${grow('[1]', '[ns.a, ns.a]')}{{ ns.a }}`],
    ['a list in itself, as JSON', `${grow('[1]', '[ns.a, ns.a]')}{{ ns.a | tojson }}`],
    ['a list in itself, compared', `${grow('[1]', '[ns.a, ns.a]')}{{ ns.a == ns.a }}`],
    ['a list in itself, in a refusal', `${grow('[1]', '[ns.a, ns.a]')}{{ raise_exception(ns.a) }}`],
    ['a list in itself, as a range', `${grow('[1]', '[ns.a, ns.a]')}{{ range(ns.a) }}`],
    ['a list in itself, as a date', `${grow('[1]', '[ns.a, ns.a]')}{{ strftime_now(ns.a) }}`],
    ['characters', "{{ ('a' * 1000000) | list }}"],
    ['characters of a loop', "{% for c in 'a' * 1000000 %}{% endfor %}"],
    ['parts of a text', "{{ ('a ' * 500000).split() }}"],
    ['lines of a text', "{{ ('\\n' * 1000000).splitlines() }}"],
    ['many ranges', `{% set ns = namespace(a=[]) %}${loop('{% set ns.a = [ns.a, range(100000)] %}')}`],
  ])('by the limit on lists: %s', (_, source) => {
    expect(() => render(source)).toThrow(/longer than|wider than|limited to 100000/);
  });

  it('by the limit on sorting', () => {
    expect(() => render('{{ range(5000) | list | sort }}')).toThrow('cannot be sorted');
    expect(() => render('{{ namespace(pairs) | tojson(sort_keys=true) }}', { pairs })).toThrow('cannot be sorted');
  });

  it.each([
    ['doubled by ~', `${grow("'ab'", 'ns.a ~ ns.a')}{{ ns.a }}`],
    ['doubled by +', `${grow("'ab'", 'ns.a + ns.a')}{{ ns.a }}`],
    ['multiplied', "{{ 'a' * 10 ** 9 }}"],
    ['replaced', "{{ ('a' * 1000000).replace('a', 'a' * 1000000) }}"],
    ['joined', "{{ range(100000) | join('a' * 1000000) }}"],
    ['printed', loop("{{ 'a' * 1000000 }}")],
    ['indented', "{{ 'a\\nb' | indent(500000000) }}"],
    ['made and dropped', loop("{% set x = ('a' * 1000000) | upper %}")],
    ['indented in many lines', "{{ ('\\n' * 500000) | indent(100, true, true) }}"],
    ['a long string many times, printed', `${manyLong}{{ ns.a }}`],
    ['a long string many times, as JSON', `${manyLong}{{ ns.a | tojson }}`],
    ['a long string many times, joined', `${manyLong}{{ ''.join(ns.a) }}`],
    ['a long string many times, compared', `${manyLong}{{ ns.a == ns.a[:] }}`],
    ['a long string many times, searched', `${manyLong}{{ ('b' * 1000000) in ns.a }}`],
    ['a long string many times, as prefixes', `${manyLong}{{ 'b'.startswith(ns.a) }}`],
    ['a long string many times, without repeats', `${manyLong}{{ ns.a | unique }}`],
    ['separators of JSON', "{{ range(100000) | tojson(separators=('a' * 1000000, ':')) }}"],
    [
      'a deep list as JSON',
      `{% set ns = namespace(a=1) %}{% for i in range(500) %}{% set ns.a = [ns.a] %}{% endfor %}{{ ns.a | tojson(indent=100) }}`,
    ],
    ['the path of an attribute', "{{ [{}] | map(attribute='a.' * 500000) | list }}"],
    ['the format of a date', "{{ strftime_now('%d' * 500000) }}"],
  ])('by the limit on strings: %s', (_, source) => {
    expect(() => render(source)).toThrow(/longer than|wider than/);
  });

  it('if it calls itself without end', () => {
    expect(() => render('{% macro f(g) %}{{ g(g) }}{% endmacro %}{{ f(f) }}')).toThrow();
  });
});

/** Milliseconds of the fastest of up to three runs. A fast first run is enough. */
function bestOfThree(run: () => void): number {
  let best = Number.POSITIVE_INFINITY;
  for (let at = 0; at < 3 && best > 500; at += 1) {
    const began = performance.now();
    run();
    best = Math.min(best, performance.now() - began);
  }
  return best;
}

describe('the clock', () => {
  const long = "{% set s = 'ab ' * 300000 %}";
  const short = "{% set s = 'ab ' * 40000 %}";

  it.each([
    ['words in title case', long + loop('{% set x = s.title() %}')],
    ['reversed characters', short + loop('{% set x = s | reverse | list %}')],
    ['searches', long + loop("{% set x = 'zz' in s %}")],
    ['lengths', long + loop('{% set x = s | length %}')],
    ['comparisons', `${long}{% set t = 'ab ' * 300000 %}${loop('{% set x = s == t %}')}`],
    ['macros with a long block', loop(`{% macro f() %}${'{{ a }}'.repeat(20_000)}{% endmacro %}`)],
  ])('is read between long steps: %s', (_, source) => {
    const template = new JinjaTemplate(source);
    const rendering = (): string => template.render({}, { ...MAX_RENDER, ms: 100 });
    expect(bestOfThree(() => expect(rendering).toThrow(RenderBudgetError))).toBeLessThan(2_500);
  });

  it.each([
    ['in', '{{ part in text }}'],
    ['find', '{{ text.find(part) }}'],
    ['count', '{{ text.count(part) }}'],
    ['split', '{{ text.split(part) | length }}'],
    ['replace', "{{ text.replace(part, '') | length }}"],
  ])('need not interrupt the search for a long string: %s', (_, source) => {
    // The search of the JavaScript engine takes 8 s for this pair.
    const part = `${'a'.repeat(10_000)}b${'a'.repeat(10_000)}`;
    const text = 'a'.repeat(1_000_000);
    expect(bestOfThree(() => render(source, { part, text }))).toBeLessThan(5_000);
  });

  it.each([
    ['strip', "{{ text.strip('ba' * 250000) | length }}"],
    ['split at white space', "{{ ('a ' * 100000).split(none, 90000) | length }}"],
    ['title', '{{ text.title() | length }}'],
    ['sort of one long string and many short ones', '{{ ([text] + words) | sort | length }}'],
  ])('need not interrupt %s of a long string', (_, source) => {
    const variables = { text: 'a'.repeat(500_000), words: Array(4_000).fill('b') };
    expect(bestOfThree(() => render(source, variables))).toBeLessThan(5_000);
  });
});

describe('smaller limits of one rendering', () => {
  it.each([
    ['time', { ms: -1 }, /longer than -1 ms/],
    ['steps', { steps: 50 }, /more than 50 steps/],
    ['text', { text: 50 }, /longer than 50 characters/],
  ])('are reported as a limit: %s', (_, limits, message) => {
    const template = new JinjaTemplate("{% for i in range(100) %}{{ 'a' ~ i }}{% endfor %}");
    const rendering = (): string => template.render({}, { ...MAX_RENDER, ...limits });
    expect(rendering).toThrow(RenderBudgetError);
    expect(rendering).toThrow(message);
    expect(template.render({}).length).toBeGreaterThan(200);
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
