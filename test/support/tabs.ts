/** One browser for the tests of a `describe`, and a tab for each page that they open. */
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { openBrowser } from './browser.ts';
import { type OpenedPage, type OpenOptions, openPage } from './opened-page.ts';
import type { TestWorker } from './worker.ts';

/**
 * Returns a function that opens the page of a worker. The tabs close after each test, which fails for every trouble
 * of a page. An `afterEach` of the caller that needs closed tabs is registered before this call: hooks after a test
 * run in reverse order.
 */
export function tabs(): (worker: TestWorker, options?: OpenOptions) => Promise<OpenedPage> {
  let browser: Browser;
  const opened: OpenedPage[] = [];
  beforeAll(async () => {
    browser = await openBrowser();
  });
  afterEach(async () => {
    for (const one of opened.splice(0)) await one.close();
  });
  afterAll(() => browser.close());
  return async (worker, options) => {
    const one = await openPage(browser, worker, options);
    opened.push(one);
    return one;
  };
}
