/** The ids of events: their two forms, and every other text. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { eventIdPrefix, isRunId, parseEventId } from '../../src/contract/event-ids.ts';
import { newRunId, RUN_ID_CHARS } from '../../src/jobs/job.ts';

describe('an event id', () => {
  test('that the worker writes is read again, for every run and number', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 31), (number) => {
        const run = newRunId();
        expect(parseEventId(`${eventIdPrefix(run)}${number}`)).toEqual({ run, number });
        expect(parseEventId(`${eventIdPrefix(undefined)}${number}`)).toEqual({ number });
      }),
    );
  });

  test.each([
    '',
    '-',
    '5-',
    '-5',
    'a b-5',
    'a_b-5',
    'a-b-5',
    'a--5',
    'run-',
    'run-x',
    'run-1.5',
    'run-1e3',
    ' 5',
    '5 ',
  ])('%j is none', (text) => expect(parseEventId(text)).toBeUndefined());

  test('of other text is read without a throw, and has a run of letters and digits at most', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const { run = 'a', number } = parseEventId(text) ?? { number: 0 };
        expect([isRunId(run), Number.isSafeInteger(number)]).toEqual([true, true]);
      }),
    );
  });
});

test('run ids have letters and digits only, one length, and no two are equal', () => {
  const ids = Array.from({ length: 20_000 }, newRunId);
  expect(ids.filter((id) => !/^[0-9a-z]+$/.test(id) || id.length !== RUN_ID_CHARS)).toEqual([]);
  expect(new Set(ids).size).toBe(ids.length);
});
