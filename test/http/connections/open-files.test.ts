/** The number of connections that fit into the limit of open files. */
import { expect, test } from 'vitest';
import { connectionsWithin } from '../../../src/http/connections/open-files.ts';

test.each([
  [1024, undefined, 1024],
  [1024, 1_048_576, 1024],
  [1024, 1088, 1024],
  [1024, 1087, 1023],
  [1024, 1024, 960],
  [50, 1024, 50],
  [1024, 80, 20],
  [1024, 32, 8],
  [4, 32, 4],
  [1024, 1, 1],
])('%i connections with %s open files: %i', (asked, openFiles, expected) => {
  expect(connectionsWithin(asked, openFiles)).toBe(expected);
});
