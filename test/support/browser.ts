/** A real headless Chromium for tests of pages. */
import { type Browser, chromium } from 'playwright-core';
import { chromiumPath } from './chromium-path.ts';

/** Everything that would reach another host, or needs rights that a container does not have, is off. */
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--disable-dev-shm-usage',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/**
 * Starts the browser. The caller closes it.
 * @throws Error if Chromium is not installed: such tests are in a `describe.runIf(chromiumPath)`
 */
export function openBrowser(): Promise<Browser> {
  if (chromiumPath === undefined) throw new Error('Chromium is not installed.');
  return chromium.launch({ executablePath: chromiumPath, args: FLAGS });
}
