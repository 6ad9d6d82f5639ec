/** Answers that do not run through: stop, reload, a full worker, a lost job, a worker that is gone. */
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { chromiumPath } from '../../support/chromium-path.ts';
import type { OpenedPage, OpenOptions } from '../../support/opened-page.ts';
import { tabs } from '../../support/tabs.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';
import { ENDLESS_TEXT, endlessWorker } from './workers.ts';

/** The browser reports every failed request in its console. */
const FAILED = /Failed to load resource/;

describe.runIf(chromiumPath)('an answer', () => {
  let worker: TestWorker;
  const isFree = async (): Promise<void> => {
    await expect
      .poll(async () => (await (await worker.get('/health')).json()) as { slots: { busy: number } })
      .toMatchObject({ slots: { busy: 0 } });
  };
  /** Waits until an answer has text. */
  const begun = async (one: OpenedPage): Promise<string> => {
    await expect.poll(() => one.answers.last().locator('.prose').innerText()).toContain('And so on');
    return one.answers.last().locator('.prose').innerText();
  };
  beforeAll(async () => {
    worker = await endlessWorker();
  });
  // Runs after the tabs of the test have closed: a hook that is registered earlier runs later.
  afterEach(async () => {
    for (const { job_id } of (
      (await (await worker.get('/jobs?state=running')).json()) as { jobs: { job_id: string }[] }
    ).jobs)
      await worker.post('/cancel', { job_id });
    await isFree();
  });
  const openTab = tabs();
  const open = (options?: OpenOptions, to = worker): Promise<OpenedPage> => openTab(to, options);

  test('stops at the key Esc, and keeps its text', async () => {
    const one = await open();
    await one.send('Go');
    await begun(one);
    await one.page.keyboard.press('Escape');
    expect(await one.lastText()).toContain('And so on');
    expect(await one.page.locator('.meta').innerText()).toMatch(/^stopped · \d/);
    expect(await one.page.locator('.story .state').innerText()).toMatch(/^stopped after \d/);
    await isFree();
  });

  test('stops at the button', async () => {
    const one = await open();
    await one.send('Go');
    await begun(one);
    await one.page.getByRole('button', { name: 'Stop the answer' }).click();
    await one.lastText();
    await one.page.getByRole('button', { name: 'Send the message' }).waitFor();
    await isFree();
  });

  test('keeps the text of an edit that cannot be sent while the answer runs', async () => {
    const one = await open();
    await one.send('Go');
    await begun(one);
    await one.field.evaluate((field) => (field as unknown as { blur: () => void }).blur());
    await one.page.keyboard.press('e');
    const edit = one.page.getByLabel('Edited message');
    await edit.fill('Go on');
    await edit.press('Enter');
    expect(await edit.inputValue()).toBe('Go on');
    await one.page.getByRole('button', { name: 'Stop the answer' }).click();
    await one.page.getByRole('button', { name: 'Send the message' }).waitFor();
    await edit.press('Enter');
    await one.page.getByText('2/2').waitFor();
    expect(await one.page.locator('.bubble').allInnerTexts()).toEqual(['Go on']);
    // A request that arrives after the end of this test would take the slot of the next one.
    await begun(one);
  });

  test('goes on after a reload, with its story and without a second request', async () => {
    const one = await open();
    let posts = 0;
    one.page.on('request', (request) => {
      if (request.url().endsWith('/execute')) posts += 1;
    });
    await one.send('Go');
    await begun(one);
    await one.page.reload();
    const before = (await begun(one)).length;
    await expect
      .poll(async () => (await one.answers.last().locator('.prose').innerText()).length)
      .toBeGreaterThan(before + 500);
    await one.page.keyboard.press('Escape');
    const text = await one.lastText();
    expect(ENDLESS_TEXT.startsWith(text)).toBe(true);
    expect(posts).toBe(1);
    const sentences = await one.page.locator('.sentence .plain').allInnerTexts();
    expect(sentences.filter((sentence) => sentence.startsWith('HTTP server accepted job'))).toHaveLength(1);
  });

  test('whose request the browser has sent twice is read once', async () => {
    const one = await open({ expected: FAILED });
    await one.page.route('**/execute', async (route) => {
      // As if the answer to the first request was lost with its connection.
      const first = await worker.post('/execute', JSON.parse(route.request().postData() ?? ''));
      await first.body?.cancel();
      await route.continue();
    });
    await one.send('Go');
    await begun(one);
    await one.page.keyboard.press('Escape');
    expect(ENDLESS_TEXT.startsWith(await one.lastText())).toBe(true);
    expect(await one.page.locator('.meta').innerText()).toMatch(/^stopped · \d/);
  });

  test('that the worker no longer has is lost, in a sentence, and can be generated again', async () => {
    const one = await open({ expected: FAILED });
    await one.send('Go');
    await begun(one);
    // As if the page was away for longer than the worker keeps a job.
    await one.page.evaluate(`{
      const state = JSON.parse(sessionStorage.getItem('rbees.tab'));
      Object.assign(state.conversation.turns[1].answer, { jobId: 'unknown-job', status: 'running' });
      addEventListener('pagehide', () => sessionStorage.setItem('rbees.tab', JSON.stringify(state)));
    }`);
    await one.page.reload();
    const card = one.page.locator('.failure:visible');
    await card.waitFor();
    expect(await card.innerText()).toContain('no longer has the rest of this answer');
    expect(await card.getByRole('button', { name: 'Try again' }).isEnabled()).toBe(true);
    await one.page.getByText('lost').first().waitFor();
  });

  test('that a full worker refuses shows the reason and when to try again', async () => {
    const busy = await open();
    await busy.send('Go');
    await begun(busy);
    const one = await open({ expected: FAILED });
    await one.send('Me too');
    const card = one.page.locator('.failure:visible');
    await card.waitFor();
    expect(await card.innerText()).toContain('All slots are busy and the queue is full.');
    expect(await card.innerText()).toContain('ALL_SLOTS_BUSY');
    expect(await card.innerText()).toContain('can succeed on this worker');
    // The estimate of the worker may be over by now.
    expect(await card.getByRole('button').innerText()).toMatch(/^Try again( in \d+ s)?$/);
  });

  test('that is refused for a known time can be tried again after a countdown', async () => {
    const one = await open({ expected: FAILED });
    const error = { code: 'ALL_SLOTS_BUSY', message: 'Full.', retriable: true, retry: 'here', correlation_id: 'c' };
    await one.page.clock.install();
    await one.page.route('**/execute', (route) =>
      route.fulfill({ status: 503, headers: { 'Retry-After': '90' }, json: { error } }),
    );
    await one.send('Go');
    const button = one.page.locator('.failure:visible').getByRole('button');
    await one.page.clock.runFor(300);
    await expect.poll(() => button.innerText()).toMatch(/^Try again in (?:8\d|90) s$/);
    expect(await button.isDisabled()).toBe(true);
    await one.page.clock.runFor(95_000);
    await expect.poll(() => button.innerText()).toBe('Try again');
    expect(await button.isEnabled()).toBe(true);
  });

  test('whose worker ends in the middle keeps its text, and can be stopped', async () => {
    const lone = await endlessWorker('ends');
    const one = await open({ expected: FAILED }, lone);
    await one.send('Go');
    await begun(one);
    await lone.kill();
    await one.page.getByText('The worker does not answer').waitFor();
    await one.page.keyboard.press('Escape');
    expect(await one.lastText()).toContain('And so on');
    expect(await one.page.locator('.meta').innerText()).toMatch(/^stopped · \d/);
  });

  test('and the worker are reported as gone, and found again', async () => {
    const lone = await startWorker();
    const port = new URL(lone.url).port;
    const one = await open({ expected: /Failed to load resource/ }, lone);
    await one.ask('Write a haiku about the sea');
    await lone.stop();
    await one.page.getByText('The worker does not answer').waitFor();
    await one.send('Are you there?');
    await one.page.locator('.failure:visible').waitFor();
    const next = await startWorker({ args: ['--port', port] });
    await one.page.locator('.banner').waitFor({ state: 'hidden' });
    await one.page.getByRole('button', { name: 'Try again' }).click();
    await one.page.getByText('2/2').waitFor();
    expect(await one.lastText()).not.toBe('');
    await next.stop();
  });
});
