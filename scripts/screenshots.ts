/**
 * Makes the pictures of the page in docs/images: starts workers, opens the page in headless Chromium, and keeps
 * small pictures. Needs the Debian package chromium.
 *
 *   node scripts/run.mjs scripts/screenshots.ts [folder for the same pictures as PNG]
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { openBrowser } from '../test/support/browser.ts';
import { scriptedModel } from '../test/support/scripted-model/model.ts';
import { startWorker, type TestWorker } from '../test/support/worker.ts';

const IMAGES = fileURLToPath(new URL('../docs/images/', import.meta.url));
const CLI = fileURLToPath(new URL('../dist/cli.js', import.meta.url));
const MOST_BYTES = 60_000;
/** Qualities of WebP, the best one first: the first picture that is small enough is kept. */
const QUALITIES = [92, 86, 80, 72, 64];
/** A folder for the same pictures as PNG. */
const [, , folderOfPng] = process.argv;

const ANSWER = `Slow servers leave traces. Three questions help most:

1. **Where did the time go?** Look at the queue, the prompt and the answer separately.
2. **Who else was there?** A neighbour in the same batch shares the machine.
3. **Who was waiting?** A slow reader makes the writer wait.

`;

mkdirSync(IMAGES, { recursive: true });
const folder = mkdtempSync(join(tmpdir(), 'screenshots-'));
const browser = await openBrowser();
const haiku = await startWorker({ cli: CLI });
const model = await scriptedModel(join(folder, 'bees-7b'), { plain: ANSWER.repeat(40) });
const talkative = await startWorker({ cli: CLI, args: ['--model', model, '--slots', '4'] });
try {
  await finished(browser, haiku);
  await phone(browser, haiku);
  await live(browser, talkative);
} finally {
  await Promise.all([browser.close(), haiku.stop(), talkative.stop()]);
  rmSync(folder, { recursive: true, force: true });
}

/** A haiku and its story, in light colours. */
async function finished(browser: Browser, worker: TestWorker): Promise<void> {
  const page = await open(browser, worker, { width: 1280, height: 800 }, 'light');
  // The first answers of a worker compile its code.
  for (const text of ['Write a haiku about rain', 'Write a haiku about bees']) await ask(page, text);
  await page.getByRole('button', { name: 'New conversation' }).click();
  await ask(page, 'Write a haiku about the sea');
  await page.mouse.move(0, 0);
  await keep(page, 'page-haiku');
}

/** A haiku on a telephone, in dark colours, with the story open. */
async function phone(browser: Browser, worker: TestWorker): Promise<void> {
  const page = await open(browser, worker, { width: 390, height: 780 }, 'dark');
  await ask(page, 'Write a haiku about the moon');
  await page.locator('.story-button').click();
  await page.locator('.story .parts').waitFor();
  await keep(page, 'page-phone');
}

/** An answer in the middle of its stream, with neighbours that join. */
async function live(browser: Browser, worker: TestWorker): Promise<void> {
  const page = await open(browser, worker, { width: 1100, height: 700 }, 'dark');
  await page.locator('#message').fill('Which questions should I ask about a slow server?');
  await page.locator('#message').press('Enter');
  const tokens = async (count: number): Promise<void> => {
    while (Number(/(\d+) tokens at/.exec(await page.locator('.sentence').last().innerText())?.[1] ?? 0) < count)
      await page.locator('.story.live').waitFor();
  };
  await tokens(1500);
  const neighbours = ['a', 'b'].map((name) =>
    worker.execute({ job_id: name, messages: [{ role: 'user', content: 'Hi' }], max_tokens: 1200 }),
  );
  await page.locator('.causes').waitFor();
  await tokens(3600);
  await keep(page, 'page-live');
  await Promise.all(neighbours);
}

async function open(
  browser: Browser,
  worker: TestWorker,
  viewport: { width: number; height: number },
  colorScheme: 'light' | 'dark',
): Promise<Page> {
  const context = await browser.newContext({ viewport, colorScheme, reducedMotion: 'reduce' });
  const page = await context.newPage();
  await page.goto(worker.url);
  await page.locator('.worker[data-status=healthy]').waitFor();
  return page;
}

async function ask(page: Page, text: string): Promise<void> {
  await page.locator('#message').fill(text);
  await page.locator('#message').press('Enter');
  await page.locator('.answer:last-child .tools').waitFor();
}

async function keep(page: Page, name: string): Promise<void> {
  const session = await page.context().newCDPSession(page);
  let bytes = Buffer.alloc(0);
  for (const quality of QUALITIES) {
    const { data } = await session.send('Page.captureScreenshot', { format: 'webp', quality });
    bytes = Buffer.from(data, 'base64');
    if (bytes.length <= MOST_BYTES) break;
  }
  writeFileSync(join(IMAGES, `${name}.webp`), bytes);
  if (folderOfPng !== undefined) await page.screenshot({ path: join(folderOfPng, `${name}.png`) });
  await page.context().close();
  process.stdout.write(`${name}.webp: ${bytes.length} bytes\n`);
}
