/** Formats as automata: a part of what ajv-formats accepts, with the usual examples in it. */
import { fullFormats } from 'ajv-formats/dist/formats.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FORMATS, formatAutomaton, smallFormatAutomaton } from '../../../src/grammar/regular/formats/formats.ts';
import { patternAutomaton } from '../../../src/grammar/regular/pattern.ts';
import { matches } from '../../../src/grammar/regular/words.ts';
import { expectWellFormed, untimed, walk } from './support.ts';

/** The check of ajv-formats, in its full mode. */
function ajvAccepts(name: string, text: string): boolean {
  const format: unknown = Reflect.get(fullFormats, name);
  if (format instanceof RegExp) return format.test(text);
  const check: unknown = typeof format === 'object' && format !== null ? Reflect.get(format, 'validate') : format;
  if (check instanceof RegExp) return check.test(text);
  if (typeof check !== 'function') throw new Error(`no check for ${name}`);
  return check(text) === true;
}

const EXAMPLES: Readonly<Record<string, readonly string[]>> = {
  date: ['2024-02-29', '2000-02-29', '1999-12-31', '0000-02-29', '2023-04-30'],
  time: ['08:30:06Z', '23:59:59.123456+05:30', '00:00:00z', '12:00:00-08:00'],
  'date-time': ['1963-06-19T08:30:06.283185Z', '1990-12-31T15:59:50.123-08:00', '1963-06-19t08:30:06z'],
  duration: ['P4DT12H30M5S', 'P4Y', 'PT0S', 'P0D', 'P1M', 'PT1M', 'PT36H', 'P1DT12H', 'P2W', 'P1Y2M3DT4H5M6S'],
  email: ['joe.bloggs@example.com', 'te~st@example.com', "o'hara+tag@sub.example.co.uk", 'a@b.c'],
  uuid: ['2EB8AA08-AA98-11EA-B4AA-73B441D16380', '00000000-0000-0000-0000-000000000000'],
  ipv4: ['192.168.0.1', '0.0.0.0', '255.255.255.255', '87.10.0.1'],
  ipv6: [
    '::1',
    '::',
    '::abef',
    '1:2:3:4:5:6:7:8',
    '1::8',
    '1:2:3:4:5:6:7::',
    '::42:ff:1',
    'd6::',
    '1:d6::42',
    '1::d6:192.168.0.1',
    '1:2::192.168.0.1',
    '::ffff:192.168.0.1',
    '1000:1000:1000:1000:1000:1000:255.255.255.255',
  ],
  hostname: ['www.example.com', 'localhost', 'a--b', 'ab-c--d.ab-1', 'a', '3com.com', 'a-b.c9', 'a'.repeat(63)],
  uri: [
    'http://foo.bar/?baz=qux#quux',
    'http://foo.com/blah_(wikipedia)_blah#cite-1',
    'http://foo.bar/?q=Test%20URL-encoded%20stuff',
    "http://-.~_!$&'()*+,;=:%40:80%2f::::::@example.com",
    'http://223.255.255.254',
    'ftp://ftp.is.co.za/rfc/rfc1808.txt',
    'ldap://[2001:db8::7]/c=GB?objectClass?one',
    'mailto:John.Doe@example.com',
    'urn:oasis:names:specification:docbook:dtd:xml:4.1.2',
    'tel:+1-816-555-1212/',
    'https://example.com:8080/a/b',
    'file:///etc/hosts',
  ],
};
/** Refused examples; those of `uri` are ones that ajv-formats accepts or refuses. */
const REFUSED: Readonly<Record<string, readonly string[]>> = {
  date: ['2023-02-29', '1900-02-29', '2020-13-01', '2020-00-10', '2020-04-31', '20200101', '2020-1-1', ''],
  time: ['24:00:00Z', '08:60:06Z', '08:30:60Z', '08:30:06', '08:30Z', '08:30:06+24:00', '08:30:06 Z'],
  'date-time': ['1990-02-31T15:59:59Z', '1963-06-19 08:30:06Z', '1963-06-19T08:30:06'],
  duration: ['P', 'PT', 'P1', '4D', 'P1YT', 'P1D2H', 'P1W2D', 'P2D1Y', 'PT1D', 'PT1H2S3M'],
  email: ['2962', '@b.c', 'a@', 'a..b@c.d', '.a@b.c', 'a.@b.c', 'a@b', 'a@-b.c', 'a@b-.c'],
  uuid: ['2eb8aa08-aa98-11ea-b4aa-73b441d1638', 'urn:uuid:00000000-0000-0000-0000-000000000000', ''],
  ipv4: ['127.0.0', '127.0.0.0.1', '256.0.0.1', '087.10.0.1', '1.2.3'],
  ipv6: [
    '12345::',
    '::abef:zz',
    '1:2:3:4:5:6:7:8::',
    '1::2::3',
    ':2:3:4:5:6:7:8',
    '1:2:3:4:5:6:7',
    '1:2:3:4:1.2.3',
    '::1%eth0',
  ],
  hostname: ['xn--4gbwdl.xn--wgbh1c', 'a.ab--c', 'ab--', '-a', 'a-', 'a..b', '.a', 'a_b', '', 'a'.repeat(64)],
  uri: [
    '//foo.bar',
    '/abc',
    'foo',
    '://x',
    'http:// a',
    'a:b c',
    'http://a/%2',
    'http://a/%zz',
    '1a:b',
    'http://a/"b"',
    'http://a/\\',
  ],
};

describe.each(FORMATS)('the format %s', (name) => {
  const automaton = formatAutomaton(name);

  test('accepts only texts that ajv-formats accepts', { timeout: 60_000 }, () => {
    expect(automaton).toBeDefined();
    if (!automaton) return;
    expectWellFormed(automaton);
    let count = 0;
    fc.assert(
      fc.property(fc.array(fc.nat(), { minLength: 120, maxLength: 120 }), (choices) => {
        const text = walk(automaton, choices);
        if (text === undefined) return;
        count += 1;
        if (!matches(automaton, text) || !ajvAccepts(name, text)) throw new Error(`wrong: ${JSON.stringify(text)}`);
      }),
      { seed: 14, numRuns: 1500 },
    );
    expect(count).toBeGreaterThan(100);
  });

  test('accepts the usual examples, which ajv-formats accepts too', () => {
    const texts = EXAMPLES[name] ?? [];
    expect(texts.length).toBeGreaterThan(0);
    expect(texts.filter((text) => !automaton || !matches(automaton, text) || !ajvAccepts(name, text))).toEqual([]);
  });

  test('refuses texts that are not of the format', () => {
    expect((REFUSED[name] ?? []).filter((text) => automaton && matches(automaton, text))).toEqual([]);
    for (const example of EXAMPLES[name] ?? [])
      for (let at = 0; at <= example.length; at += 1)
        for (const changed of [
          example.slice(0, at) + example.slice(at + 1),
          `${example.slice(0, at)}\n${example.slice(at)}`,
        ])
          if (automaton && matches(automaton, changed) && !ajvAccepts(name, changed))
            throw new Error(`wrong: ${changed}`);
  });
});

test.each(['date', 'ipv4', 'ipv6'])(
  'the format %s accepts every change of an example that ajv-formats accepts',
  (name) => {
    const automaton = formatAutomaton(name);
    const chars = '0123459:.-aF';
    const wrong = (EXAMPLES[name] ?? []).flatMap((example) =>
      Array.from({ length: example.length }, (_, at) =>
        [...chars].map((char) => example.slice(0, at) + char + example.slice(at + 1)),
      )
        .flat()
        .filter((text) => automaton && matches(automaton, text) !== ajvAccepts(name, text)),
    );
    expect(wrong).toEqual([]);
  },
);

test('an unknown format has no automaton', () => {
  expect(['color', 'toString', '__proto__', ''].map((name) => formatAutomaton(name))).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});

test('a format is built once', () => {
  expect(formatAutomaton('uri')).toBe(formatAutomaton('uri'));
});

describe('automata that no pattern makes are those of the rules of their standard', () => {
  const BYTE = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
  const IPV4 = `${BYTE}(?:\\.${BYTE}){3}`;
  const GROUP = '[0-9a-fA-F]{1,4}';

  /** RFC 4291: with `::`, at most seven groups, of which those before it come first. */
  function ipv6(): string {
    const groups = (count: number): string => (count === 0 ? '' : `${GROUP}(?::${GROUP}){${count - 1}}`);
    const forms = [groups(8), `(?:${GROUP}:){6}${IPV4}`];
    for (let before = 0; before <= 7; before += 1) {
      for (let after = 0; before + after <= 7; after += 1) forms.push(`${groups(before)}::${groups(after)}`);
      for (let after = 0; before + after <= 5; after += 1)
        forms.push(`${groups(before)}::(?:${GROUP}:){${after}}${IPV4}`);
    }
    return `(?:${forms.join('|')})`;
  }

  const label = (most: number): string => {
    const [end, inside] = ['[a-zA-Z0-9]', '[a-zA-Z0-9-]'];
    const long = `${inside}(?:${end}${inside}|-${end})${inside}{0,${most - 5}}${end}`;
    return `${end}(?:${inside}{0,2}${end}|${long})?`;
  };

  function uri(): string {
    const encoded = '%[0-9a-fA-F]{2}';
    const plain = "a-zA-Z0-9._~!$&'()*+,;=\\-";
    const segment = `(?:[${plain}:@]|${encoded})`;
    const path = `(?:/${segment}*)*`;
    const host = `(?:(?:[${plain}]|${encoded})*|\\[${ipv6()}\\])`;
    const authority = `(?:(?:[${plain}:]|${encoded})*@)?${host}(?::\\d{0,5})?`;
    const tail = `(?:[${plain}:@/?]|${encoded})*`;
    return `[a-zA-Z][a-zA-Z0-9+.-]*:(?://${authority}${path}|/?${segment}+${path})(?:\\?${tail})?(?:#${tail})?`;
  }

  test.each([
    ['ipv6', ipv6()],
    ['hostname', `${label(63)}(?:\\.${label(30)}){0,6}`],
    ['uri', uri()],
  ])('%s', (name, pattern) => {
    expect(formatAutomaton(name)).toEqual(patternAutomaton(pattern, 'whole', untimed()));
  });
});

test('the small automaton of a format accepts a part of its texts', () => {
  const small = smallFormatAutomaton('uri');
  const texts = ['https://example.com:8080/a?b#c', 'ldap://[2001:db8::7]/c', 'no uri'];
  expect(texts.map((text) => small && matches(small, text))).toEqual([true, false, false]);
  expect(small?.accepts.length).toBeLessThan((formatAutomaton('uri')?.accepts.length ?? 0) / 4);
  expect(smallFormatAutomaton('uuid')).toBe(formatAutomaton('uuid'));
  expect(['small uri', 'color'].map(formatAutomaton)).toEqual([undefined, undefined]);
  expect(smallFormatAutomaton('small uri')).toBeUndefined();
});
