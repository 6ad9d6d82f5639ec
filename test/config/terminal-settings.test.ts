/** The contents of a terminal stream: NO_COLOR before FORCE_COLOR before the kind of the stream, and TERM=dumb. */
import { expect, test } from 'vitest';
import { terminalSettings } from '../../src/config/host/terminal-settings.ts';

test.each([
  // isTTY, environment, styles, motion
  [true, {}, true, true],
  [false, {}, false, false],
  [true, { NO_COLOR: '1' }, false, true],
  [true, { NO_COLOR: '' }, true, true],
  [true, { NO_COLOR: '1', FORCE_COLOR: '1' }, false, true],
  [false, { FORCE_COLOR: '1' }, true, false],
  [false, { FORCE_COLOR: '' }, true, false],
  [true, { FORCE_COLOR: '0' }, false, true],
  [true, { FORCE_COLOR: 'false' }, false, true],
  [true, { TERM: 'dumb' }, false, false],
  [true, { TERM: 'dumb', FORCE_COLOR: '1' }, false, false],
  [true, { TERM: 'xterm' }, true, true],
])('isTTY %s with %j: styles %s, motion %s', (isTTY, environment, styles, motion) => {
  expect(terminalSettings(isTTY, environment)).toEqual({ styles, motion });
});
