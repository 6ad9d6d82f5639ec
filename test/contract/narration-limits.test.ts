import { expect, test } from 'vitest';
import { CATALOGUE } from '../../src/narration/catalogue.ts';
import type { Entry } from '../../src/narration/entry.ts';
import { FIELDS } from '../../src/narration/fields.ts';
import { narrationProblems } from './rules.ts';

const FACTS = Object.fromEntries(Object.entries(FIELDS).map(([name, { example }]) => [name, example])) as Parameters<
  Entry['human']
>[0];
const entries = Object.entries(CATALOGUE as unknown as Record<string, Entry>);
/** Without the facts that an event may have, a sentence can be another one. */
const leastOf = (entry: Entry) =>
  Object.fromEntries(entry.has.map((name) => [name, FACTS[name]])) as Parameters<Entry['human']>[0];

test.each(entries)('%s keeps the limits of its sentences, and its cute one smiles', (_, entry) => {
  for (const facts of [FACTS, leastOf(entry)]) {
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
  expect([...asked].filter((name) => ![...entry.has, ...entry.may].includes(name as never))).toEqual([]);
});

test('every fact of the vocabulary is told by some event', () => {
  const used = new Set(entries.flatMap(([, { has, may }]) => [...has, ...may] as string[]));
  expect(Object.keys(FIELDS).filter((name) => !used.has(name))).toEqual([]);
});
