/** The client in a real browser. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openBrowser } from '../../support/browser.ts';
import { chromiumPath } from '../../support/chromium-path.ts';
import { sharedWorker } from '../../support/shared-worker.ts';
import type { TestWorker } from '../../support/worker.ts';

describe.runIf(chromiumPath)('in Chromium', () => {
  let browser: Browser;
  let worker: TestWorker;
  beforeAll(async () => {
    [browser, worker] = await Promise.all([openBrowser(), sharedWorker()]);
  });
  afterAll(() => browser.close());

  test('a page of the worker reads its health', async () => {
    const page = await browser.newPage();
    await page.goto(`${worker.url}/health`);
    const status = await page.evaluate(
      async () => ((await (await fetch('/health')).json()) as { status: string }).status,
    );
    expect(status).toBe('healthy');
    await page.close();
  });
});
