/** The facts that leave the machine with a span. */
import { expect, test } from 'vitest';
import { CATALOGUE } from '../../src/narration/catalogue/catalogue.ts';
import type { Entry } from '../../src/narration/entry.ts';
import { FIELDS, type FieldName } from '../../src/narration/fields.ts';
import { capture, narrate, runIn } from '../../src/narration/narrate.ts';
import { SPAN_TEXTS, spanFacts } from '../../src/narration/span-facts.ts';

/** Texts of request events that repeat words of the caller. */
const OF_THE_CALLER: readonly FieldName[] = ['fields', 'without_effect'];

test('every text field of a request event is known as a word of this program, or as a text of the caller', () => {
  const entries = Object.values(CATALOGUE) as unknown as readonly Entry[];
  const names = entries
    .filter(({ scope }) => scope === 'request')
    .flatMap(({ required, optional }) => [...required, ...optional])
    .filter((name) => FIELDS[name].type === 'string');
  expect([...new Set(names)].sort()).toEqual([...SPAN_TEXTS, ...OF_THE_CALLER].sort());
});

test('a narration with a text of the caller has neither that text nor its sentence', () => {
  const entry = CATALOGUE['request.invalid'] as unknown as Entry;
  const narration = {
    level: 'WARN',
    human: 'Request is invalid: 1 error in secret',
    fields: 'secret',
    field_errors: 1,
  };
  expect(spanFacts(narration, entry)).toEqual({ level: 'WARN', field_errors: 1, error_kind: undefined });
});

test('the span of a request gets its request events, if it is exported; lifecycle events stay out', async () => {
  const heard: [string, unknown][] = [];
  const span = (isExported: boolean) => ({
    records: () => isExported,
    narrated: (event: string, facts: unknown) => heard.push([event, facts]),
  });
  await capture(() => {
    for (const trace of [span(true), span(false)])
      runIn({ correlationId: 'c', jobId: 'j', trace }, () => {
        narrate('queue.moved', { queue_position: 2, eta_ms: 5 });
        narrate('worker.fault', { error_kind: 'generation', reason: 'a stack with a path' });
      });
  });
  const human = 'Request moved up to queue position 2; it starts in a moment';
  expect(heard).toEqual([['queue.moved', { level: 'INFO', queue_position: 2, eta_ms: 5, human }]]);
});
