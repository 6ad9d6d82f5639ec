/** The browser of the tests whose names end in `.pages.test.ts`. */
import { existsSync } from 'node:fs';

const PATH = '/usr/bin/chromium';

/** The executable of Debian's package `chromium`; undefined if it is not installed. */
export const chromiumPath: string | undefined = existsSync(PATH) ? PATH : undefined;
