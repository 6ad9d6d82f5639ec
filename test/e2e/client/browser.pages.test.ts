/** The client's module for browsers in real Chromium: the scenario that the other runtimes run too. */
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openBrowser } from '../../support/browser.ts';
import { chromiumPath } from '../../support/chromium-path.ts';
import { EXPECTED, openScene, type Scene } from '../../support/client/scene.ts';

const fileAt = (path: string): string => readFileSync(fileURLToPath(new URL(path, import.meta.url)), 'utf8');
const SCRIPTS: Readonly<Record<string, string>> = {
  '/client.js': fileAt('../../../dist/client/browser.js'),
  '/scenario.js': fileAt('../../support/client/scenario.mjs'),
  '/page.js': `
    import * as client from '/client.js';
    import { scenario } from '/scenario.js';
    globalThis.run = (urls) => scenario(client, urls);`,
};
const PAGE = '<!doctype html><script type="module" src="/page.js"></script>';
/** A page that allows nothing but its own scripts and its workers. */
const POLICY = "default-src 'none'; script-src 'self'; connect-src http://127.0.0.1:*";

describe.runIf(chromiumPath)('in Chromium', () => {
  let browser: Browser;
  let site: Server;
  let origin: string;
  let scene: Scene;
  beforeAll(async () => {
    site = createServer(({ url = '' }, response) => {
      const type = url in SCRIPTS ? 'text/javascript' : 'text/html';
      response.writeHead(200, { 'Content-Security-Policy': POLICY, 'Content-Type': type }).end(SCRIPTS[url] ?? PAGE);
    });
    await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve));
    origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
    [browser, scene] = await Promise.all([openBrowser(), openScene(['--cors-origin', origin])]);
  });
  afterAll(async () => {
    await browser.close();
    await scene.close();
    site.close();
  });

  test('a page of another origin uses every function', async () => {
    const page = await browser.newPage();
    const complaints: string[] = [];
    page.on('pageerror', (error) => complaints.push(String(error)));
    await page.goto(origin);
    const result = await page.evaluate(`run(${JSON.stringify(scene.urls)})`);
    expect(result).toMatchObject(EXPECTED);
    expect(complaints).toEqual([]);
    // The browser may send the POST again by itself: the worker then answers that it has the job.
    const jobs = scene.worker.lines.filter(({ event }) => event === 'request.validated');
    expect(new Set(jobs.map((line) => line['job_id'])).size).toBe(jobs.length);
    await page.close();
  });
});
