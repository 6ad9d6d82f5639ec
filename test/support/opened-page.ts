/**
 * The web page of a worker in a real browser. Collects all signs of trouble: errors in the console, violations of
 * the content security policy, and requests to another origin.
 */
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core';
import { expect } from 'vitest';
import type { TestWorker } from './worker.ts';

/** A ceiling for a machine under load. */
const LONG_MS = 90_000;

export interface OpenOptions extends BrowserContextOptions {
  /** Troubles that the test provokes. */
  readonly expected?: RegExp;
  /** Runs before the first script of the page. */
  readonly script?: string;
}

export class OpenedPage {
  readonly page: Page;
  readonly #troubles: string[] = [];

  constructor(page: Page, origin: string, expected: RegExp | undefined) {
    this.page = page;
    const note = (text: string): void => {
      if (expected?.test(text) !== true) this.#troubles.push(text);
    };
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') note(`${message.type()}: ${message.text()}`);
    });
    page.on('pageerror', (error) => note(`exception: ${error.stack ?? error.message}`));
    page.on('dialog', (dialog) => {
      note(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on('request', (request) => {
      const url = request.url();
      if (!url.startsWith(`${origin}/`) && !url.startsWith('blob:')) note(`foreign request: ${url}`);
    });
  }

  get answers(): Locator {
    return this.page.locator('.answer');
  }

  get field(): Locator {
    return this.page.locator('#message');
  }

  /** Sends a message with the keyboard. */
  async send(text: string): Promise<void> {
    await this.field.fill(text);
    await this.field.press('Enter');
  }

  /** Sends a message and waits for the end of its answer. @returns the text of the answer */
  async ask(text: string): Promise<string> {
    const before = await this.answers.count();
    await this.send(text);
    await this.answers.nth(before).waitFor();
    return this.lastText();
  }

  /** The text of the last answer, at its end. */
  async lastText(): Promise<string> {
    const last = this.answers.last();
    await last.locator('.tools').waitFor();
    return (await last.locator('.prose').innerText()).trim();
  }

  /** Closes the tab. Fails for every trouble. */
  async close(): Promise<void> {
    await this.page.context().close();
    expect(this.#troubles).toEqual([]);
  }
}

/** Opens the page of a worker in a tab with a profile of its own. */
export async function openPage(browser: Browser, worker: TestWorker, options: OpenOptions = {}): Promise<OpenedPage> {
  const { expected, script, ...contextOptions } = options;
  const context = await browser.newContext(contextOptions);
  context.setDefaultTimeout(LONG_MS);
  const page = await context.newPage();
  // As a person meets it: `page.evaluate` of the tests needs no rights of the page.
  if (script !== undefined) await page.addInitScript(script);
  const opened = new OpenedPage(page, worker.url, expected);
  await page.goto(`${worker.url}/`);
  await opened.field.waitFor();
  return opened;
}
