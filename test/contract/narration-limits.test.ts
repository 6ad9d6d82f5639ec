import { expect, test } from 'vitest';
import { CATALOGUE } from '../../src/narration/catalogue/catalogue.ts';
import type { Entry } from '../../src/narration/entry.ts';
import { FIELDS } from '../../src/narration/fields.ts';
import { narrationProblems } from './rules.ts';

const FACTS = Object.fromEntries(Object.entries(FIELDS).map(([name, { example }]) => [name, example])) as Parameters<
  Entry['human']
>[0];
const entries = Object.entries(CATALOGUE as unknown as Record<string, Entry>);
/** The largest values: a day, a million tokens, the memory of a large machine. */
const LARGEST = Object.fromEntries(
  Object.entries(FIELDS).map(([name, { type, example }]) => [name, type === 'string' ? example : largest(name)]),
) as typeof FACTS;
function largest(name: string): number {
  if (name.endsWith('_bytes')) return 999.9e9;
  if (name.endsWith('_ms')) return 86_399_999;
  if (name.endsWith('_percent')) return 100;
  return 1_048_576;
}
/** Without its optional facts, an event can have another sentence. */
const leastOf = (entry: Entry, facts: typeof FACTS) =>
  Object.fromEntries(entry.required.map((name) => [name, facts[name]])) as Parameters<Entry['human']>[0];

test.each(entries)('%s keeps the limits of its sentences, and its cute one has an emoji', (_, entry) => {
  for (const facts of [FACTS, leastOf(entry, FACTS), LARGEST, leastOf(entry, LARGEST)]) {
    const said = {
      human: entry.human(facts, 'job-1'),
      cute: entry.cute?.(facts, 'job-1') ?? '',
      ...(entry.story && { story: entry.story(facts, 'job-1') }),
    };
    expect(narrationProblems(said)).toEqual([]);
  }
});

test.each(entries)('%s uses only the facts that it declares', (_, entry) => {
  const asked = new Set<string>();
  const facts = new Proxy(FACTS, {
    get: (target, name: string) => {
      asked.add(name);
      return Reflect.get(target, name) as unknown;
    },
  });
  entry.human(facts, 'job-1');
  entry.cute?.(facts, 'job-1');
  entry.story?.(facts, 'job-1');
  entry.target?.(facts, 'worker-1');
  if (typeof entry.level === 'function') entry.level(facts);
  expect([...asked].filter((name) => ![...entry.required, ...entry.optional].includes(name as never))).toEqual([]);
});

test('every field is a fact of some event', () => {
  const used = new Set(entries.flatMap(([, { required, optional }]) => [...required, ...optional] as string[]));
  expect(Object.keys(FIELDS).filter((name) => !used.has(name))).toEqual([]);
});
