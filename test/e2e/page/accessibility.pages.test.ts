/** The page for everybody: axe-core, a narrow screen, reduced motion. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { beforeAll, describe, expect, test } from 'vitest';
import { chromiumPath } from '../../support/chromium-path.ts';
import type { OpenedPage, OpenOptions } from '../../support/opened-page.ts';
import { sharedWorker } from '../../support/shared-worker.ts';
import { tabs } from '../../support/tabs.ts';
import type { TestWorker } from '../../support/worker.ts';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const PHONE = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };

const SCREENS: readonly (readonly [string, OpenOptions])[] = [
  ['light', { colorScheme: 'light' }],
  ['dark', { colorScheme: 'dark' }],
  ['a phone, light', { colorScheme: 'light', ...PHONE }],
  ['a phone, dark', { colorScheme: 'dark', ...PHONE }],
];

describe.runIf(chromiumPath)('the page', () => {
  let worker: TestWorker;
  const openTab = tabs();
  const open = (options: OpenOptions): Promise<OpenedPage> => openTab(worker, { reducedMotion: 'reduce', ...options });
  beforeAll(async () => {
    worker = await sharedWorker();
  });

  /** The findings of axe-core that are not minor. */
  async function findings({ page }: OpenedPage): Promise<readonly string[]> {
    await page.evaluate(AXE);
    return page.evaluate(`axe.run().then(({ violations }) => violations
      .filter(({ impact }) => impact !== 'minor')
      .flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => id + ': ' + html + ' ' + failureSummary)))`);
  }

  describe.each(SCREENS)('in %s', (_, options) => {
    test('has no finding of axe-core, with an answer and without', async () => {
      const one = await open(options);
      await one.page.locator('.worker[data-status=healthy]').waitFor();
      expect(await findings(one)).toEqual([]);
      await one.ask('Write a haiku about the sea');
      await one.page.locator('.about .facts').waitFor({ state: 'attached' });
      expect(await findings(one)).toEqual([]);
    });

    test('has no finding of axe-core in its dialogs and menus', async () => {
      const one = await open(options);
      await one.page.getByRole('button', { name: 'Parameters' }).click();
      await one.page.locator('#field-top_p').fill('7');
      expect(await findings(one)).toEqual([]);
      await one.page.getByRole('button', { name: 'Done' }).click();
      await one.page.locator('.menu summary').click();
      expect(await findings(one)).toEqual([]);
      await one.page.getByRole('button', { name: 'Keys' }).click();
      expect(await findings(one)).toEqual([]);
    });
  });

  test('fits into 360 pixels, and shows the story on demand', async () => {
    const one = await open(PHONE);
    await one.ask('Write a haiku about the sea');
    expect(await one.page.evaluate('document.documentElement.scrollWidth')).toBe(360);
    const story = one.page.locator('.story');
    expect(await story.isVisible()).toBe(false);
    await one.page.locator('.ticker').click();
    await story.getByText('Where the time went').waitFor();
    await story.getByRole('button', { name: 'Close' }).click();
    await story.waitFor({ state: 'hidden' });
  });

  test('tells a screen reader the end of an answer', async () => {
    const one = await open({});
    const text = await one.ask('Write a haiku about the sea');
    const [line = ''] = text.split('\n');
    await expect.poll(() => one.page.locator('[aria-live=polite]').innerText()).toContain(line);
  });

  test('moves nothing if the person wants no motion', async () => {
    const one = await open({});
    await one.ask('Write a haiku about the sea');
    expect(await one.page.evaluate('document.getAnimations().length')).toBe(0);
  });
});
