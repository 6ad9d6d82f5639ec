/** examples/browser.html in a real browser, served from the folder of the package. */
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openBrowser } from '../../support/browser.ts';
import { chromiumPath } from '../../support/chromium-path.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

describe.runIf(chromiumPath)('browser.html', () => {
  let browser: Browser;
  let site: Server;
  let origin: string;
  let worker: TestWorker;
  beforeAll(async () => {
    site = createServer(({ url = '' }, response) => {
      if (!/^\/(?:examples|dist)\/[\w/]+\.(?:html|js)$/.test(url)) {
        response.writeHead(404).end();
        return;
      }
      const type = url.endsWith('.js') ? 'text/javascript' : 'text/html';
      response.writeHead(200, { 'Content-Type': type }).end(readFileSync(`${ROOT}${url}`));
    });
    await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve));
    origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
    [browser, worker] = await Promise.all([openBrowser(), startWorker({ args: ['--cors-origin', origin] })]);
  });
  afterAll(async () => {
    await browser.close();
    await worker.stop();
    site.close();
  });

  test('shows the answer and its story, and stops a job', async () => {
    const page = await browser.newPage();
    const complaints: string[] = [];
    page.on('pageerror', (error) => complaints.push(String(error)));
    await page.goto(`${origin}/examples/browser.html`);
    await page.fill('[name=url]', worker.url);
    await page.click('text=Ask');
    await page.waitForSelector('#story li:has-text("tokens")');
    await expect.poll(() => page.textContent('#answer')).toMatch(/\w{3}/);
    await expect.poll(() => page.locator('#story li').count()).toBeGreaterThan(5);
    await worker.line('inference.complete');
    await page.click('text=Stop');
    expect(complaints).toEqual([]);
    await page.close();
  });

  test('shows why a worker does not answer', async () => {
    const page = await browser.newPage();
    await page.goto(`${origin}/examples/browser.html`);
    await page.fill('[name=url]', `${origin}/nothing`);
    await page.click('text=Ask');
    await page.waitForSelector('#story li:has-text("status 404")');
    await page.close();
  });
});
