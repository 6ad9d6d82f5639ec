/** The sentences of every narration keep their limits and use only declared facts. */
import { expect, test } from 'vitest';
import { CATALOGUE } from '../../src/narration/catalogue/catalogue.ts';
import type { Entry } from '../../src/narration/entry.ts';
import { FIELDS } from '../../src/narration/fields.ts';
import { redact } from '../../src/narration/sanitize.ts';
import { narrationProblems } from './rules.ts';

const FACTS = Object.fromEntries(Object.entries(FIELDS).map(([name, { example }]) => [name, example])) as Parameters<
  Entry['human']
>[0];
const entries = Object.entries(CATALOGUE as unknown as Record<string, Entry>);
/** Very large facts: a day, a million tokens, the memory of a large machine. */
const LARGEST = Object.fromEntries(
  Object.entries(FIELDS).map(([name, { type, example }]) => [name, type === 'string' ? example : largest(name)]),
) as typeof FACTS;
function largest(name: string): number {
  if (name.endsWith('_bytes')) return 999.9e9;
  if (name.endsWith('_ms')) return 86_399_999;
  if (name.endsWith('_percent')) return 100;
  return 1_048_576;
}
const levelOf = ({ level }: Entry, facts: typeof FACTS): string => (typeof level === 'function' ? level(facts) : level);
/** Only the required facts: a sentence can depend on the optional ones. */
const leastOf = (entry: Entry, facts: typeof FACTS) =>
  Object.fromEntries(entry.required.map((name) => [name, facts[name]])) as Parameters<Entry['human']>[0];

test.each(entries)('%s keeps the length limits of its texts, and cute has an emoji', (_, entry) => {
  for (const facts of [FACTS, leastOf(entry, FACTS), LARGEST, leastOf(entry, LARGEST)]) {
    const sentences = {
      level: levelOf(entry, facts),
      human: entry.human(facts, 'job-1'),
      cute: entry.cute?.(facts, 'job-1') ?? '',
      ...(entry.story && { story: entry.story(facts, 'job-1') }),
    };
    expect(narrationProblems(sentences)).toEqual([]);
  }
});

/** The sanitizer takes `token: x` and `token 123` for credentials: a number can be 1 or have many digits. */
test.each(entries)('%s has no text that looks like a secret', (_, entry) => {
  for (const number of [1, 2, 123_456]) {
    const facts = Object.fromEntries(
      Object.entries(FACTS).map(([name, fact]) => [name, typeof fact === 'string' ? fact : number]),
    ) as typeof FACTS;
    for (const text of [entry.human, entry.cute, entry.story].map((sentence) => sentence?.(facts, 'job-1') ?? ''))
      expect(redact(text)).toBe(text);
  }
});

test.each(entries)('%s uses only the facts that it declares', (_, entry) => {
  const used = new Set<string>();
  const facts = new Proxy(FACTS, {
    get: (target, name: string) => {
      used.add(name);
      return Reflect.get(target, name) as unknown;
    },
  });
  entry.human(facts, 'job-1');
  entry.cute?.(facts, 'job-1');
  entry.story?.(facts, 'job-1');
  entry.target?.(facts, 'worker-1');
  if (typeof entry.level === 'function') entry.level(facts);
  expect([...used].filter((name) => ![...entry.required, ...entry.optional].includes(name as never))).toEqual([]);
});

test('every typed field belongs to an event', () => {
  const used = new Set(entries.flatMap(([, { required, optional }]) => [...required, ...optional] as string[]));
  expect(Object.keys(FIELDS).filter((name) => !used.has(name))).toEqual([]);
});
