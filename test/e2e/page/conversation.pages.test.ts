/** A conversation in the page: answers with their story, branches, keys, export. */
import { readFile } from 'node:fs/promises';
import type { Download } from 'playwright-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { chromiumPath } from '../../support/chromium-path.ts';
import type { OpenedPage, OpenOptions } from '../../support/opened-page.ts';
import { sharedWorker } from '../../support/shared-worker.ts';
import { tabs } from '../../support/tabs.ts';
import type { TestWorker } from '../../support/worker.ts';

const GREEDY = { temperature: '.0' };

describe.runIf(chromiumPath)('the page', () => {
  let worker: TestWorker;
  const openTab = tabs();
  const open = (options?: OpenOptions): Promise<OpenedPage> => openTab(worker, options);
  beforeAll(async () => {
    worker = await sharedWorker();
  });

  test('shows a haiku with its narration, its timeline and where its time went', async () => {
    const one = await open();
    const text = await one.ask('Write a haiku about the sea');
    expect(text.split('\n').length).toBeGreaterThanOrEqual(3);
    const story = one.page.locator('.story');
    await story.getByText('Where the time went').waitFor();
    const sentences = await story.locator('.sentence .plain').allInnerTexts();
    expect(sentences[0]).toMatch(/^HTTP server accepted job page-/);
    expect(sentences.join('\n')).toContain('Tokenizer split the prompt into');
    expect(sentences.join('\n')).toMatch(/Engine finished: \d+ tokens/);
    expect(sentences.at(-1)).toMatch(/^Request took \d/);
    await expect.poll(() => story.locator('.chart svg').getAttribute('aria-label')).toMatch(/^Timeline over .*writing/);
    expect(await story.locator('.chart .plot .line').count()).toBe(1);
    expect(await story.locator('.parts li').allInnerTexts()).toHaveLength(4);
    const facts = await story.locator('.about').innerText();
    expect(facts).toMatch(/answer\s+\d+ tokens/);
    expect(facts).toMatch(/ended\s+the model was done/);
  });

  test('shows the state of the worker', async () => {
    const one = await open();
    await one.page.locator('.worker[data-status=healthy]').waitFor();
    await one.page.locator('.worker summary').click();
    const facts = await one.page.locator('.worker .facts').innerText();
    for (const fact of [/model\s+haiku/, /device\s+cpu/, /slots\s+0 of \d+ busy/, /queue\s+0 of 64/, /memory\s+\d+ MB/])
      expect(facts).toMatch(fact);
  });

  test('switches to plain sentences, and keeps the choice', async () => {
    const one = await open();
    await one.ask('Write a haiku about the moon');
    await one.page.locator('.sentence .plain').first().waitFor();
    await one.field.press('Escape');
    await one.page.locator('.menu summary').click();
    await one.page.getByLabel('Playful sentences').uncheck();
    await expect.poll(() => one.page.locator('.sentence .plain').count()).toBe(0);
    expect(await one.page.locator('.sentence .main').first().innerText()).toMatch(/^HTTP server accepted job/);
    await one.page.reload();
    expect(await one.page.locator('.sentence .main').first().innerText()).toMatch(/^HTTP server accepted job/);
  });

  test('an edit begins a branch, and both branches can be shown', async () => {
    const one = await open();
    const first = await one.ask('Write a haiku about rain');
    await one.ask('Another one');
    await one.page.locator('.user').first().hover();
    await one.page.getByRole('button', { name: 'Edit the message' }).first().click();
    await one.page.getByLabel('Edited message').fill('Write a haiku about snow');
    await one.page.getByLabel('Edited message').press('Enter');
    await expect.poll(() => one.page.locator('.bubble').allInnerTexts()).toEqual(['Write a haiku about snow']);
    await one.lastText();
    const branches = one.page.locator('.user .branches').first();
    expect(await branches.innerText()).toContain('2/2');
    await branches.getByRole('button', { name: 'Previous branch' }).click();
    await expect
      .poll(() => one.page.locator('.bubble').allInnerTexts())
      .toEqual(['Write a haiku about rain', 'Another one']);
    expect((await one.answers.first().locator('.prose').innerText()).trim()).toBe(first);
  });

  test('generates another answer, and both answers can be shown', async () => {
    const one = await open();
    const first = await one.ask('Write a haiku about bees');
    await one.page.getByRole('button', { name: 'Generate again' }).click();
    await one.page.getByText('2/2').waitFor();
    await one.lastText();
    await one.page.getByRole('button', { name: 'Previous branch' }).click();
    await one.page.getByText('1/2').waitFor();
    expect(await one.lastText()).toBe(first);
  });

  test('the earlier turns and the system prompt are part of the request', async () => {
    const one = await open();
    await one.page.getByRole('button', { name: 'Parameters' }).click();
    await one.page.getByLabel('System prompt').fill('You write haiku.');
    for (const [name, value] of Object.entries(GREEDY)) await one.page.getByLabel(name, { exact: true }).fill(value);
    await one.page.getByRole('button', { name: 'Done' }).click();
    expect(await one.page.locator('.chip').allInnerTexts()).toEqual(['system', 'temperature .0']);
    await one.ask('Write a haiku about the sea');
    const sent = one.page.waitForRequest((request) => request.url().endsWith('/execute'));
    await one.ask('Another one');
    const body = (await sent).postDataJSON() as { messages: { role: string; content: string }[]; temperature: number };
    expect(body).toMatchObject({ temperature: 0, parts: true });
    expect(body.messages.map(({ role }) => role)).toEqual(['system', 'user', 'assistant', 'user']);
    expect(body.messages[0]?.content).toBe('You write haiku.');
  });

  test('a wrong parameter is explained at its field, and nothing is sent', async () => {
    const one = await open();
    await one.page.getByRole('button', { name: 'Parameters' }).click();
    await one.page.getByLabel('top_p', { exact: true }).fill('2');
    expect(await one.page.locator('#note-top_p').innerText()).toBe('Must be a number from 0 to 1.');
    await one.page.getByRole('button', { name: 'Done' }).click();
    await one.send('Write a haiku');
    await one.page.locator('#field-top_p:focus').waitFor();
    expect(await one.answers.count()).toBe(0);
    // The message is not lost, and not yet a part of the conversation.
    expect(await one.field.inputValue()).toBe('Write a haiku');
    await one.page.locator('#field-top_p').fill('');
    await one.page.getByRole('button', { name: 'Done' }).click();
    await one.field.press('Enter');
    expect(await one.lastText()).not.toBe('');
    expect(await one.page.locator('.bubble').allInnerTexts()).toEqual(['Write a haiku']);
  });

  test('the Enter that ends a word of an input method sends nothing', async () => {
    const one = await open();
    await one.field.fill('うみ');
    // As Safari reports it: the composition has ended before the key.
    await one.field.dispatchEvent('keydown', { key: 'Enter', keyCode: 229 });
    expect(await one.field.inputValue()).toBe('うみ');
    await one.field.dispatchEvent('keydown', { key: 'Enter', keyCode: 13 });
    expect(await one.field.inputValue()).toBe('');
    await one.lastText();
  });

  test('a page that becomes hidden while it asks for the state does not call the worker offline', async () => {
    const script = `Object.defineProperty(document, 'visibilityState', { get: () => globalThis.visibility ?? 'visible' })`;
    const one = await open({ script });
    const state = one.page.locator('.worker');
    await expect.poll(() => state.getAttribute('data-status')).toBe('healthy');
    await one.page.route('**/health', () => undefined);
    await one.page.waitForRequest('**/health');
    const aborted = one.page.waitForEvent('requestfailed', (request) => request.url().endsWith('/health'));
    await one.page.evaluate(`visibility = 'hidden'; document.dispatchEvent(new Event('visibilitychange'));`);
    await aborted;
    expect(await state.getAttribute('data-status')).toBe('healthy');
    expect(await one.page.locator('.banner').isHidden()).toBe(true);
  });

  test('two tabs never see the conversation of each other', async () => {
    const one = await open();
    const sent = 'A secret of the first tab';
    await one.ask(sent);
    const other = await one.page.context().newPage();
    await other.goto(`${worker.url}/`);
    await other.locator('.welcome').waitFor();
    expect(await other.locator('.turn').count()).toBe(0);
    await other.locator('#message').fill('Hello from the second tab');
    await other.locator('#message').press('Enter');
    await other.locator('.answer .tools').waitFor();
    expect(await other.content()).not.toContain(sent);
    expect(await one.page.content()).not.toContain('Hello from the second tab');
    await one.page.reload();
    expect(await one.page.locator('.bubble').allInnerTexts()).toEqual([sent]);
  });

  test('keys open the list of keys, the parameters and a new conversation', async () => {
    const one = await open();
    await one.ask('Write a haiku about the sea');
    await one.field.press('Shift+Enter');
    expect(await one.field.inputValue()).toBe('\n');
    await one.field.fill('');
    await one.field.evaluate((field) => (field as unknown as { blur: () => void }).blur());
    await one.page.keyboard.press('?');
    await one.page.getByRole('heading', { name: 'Keys' }).waitFor();
    await one.page.keyboard.press('Escape');
    await one.page.keyboard.press('p');
    await one.page.getByRole('heading', { name: 'Parameters' }).waitFor();
    await one.page.keyboard.press('Escape');
    await one.page.keyboard.press('e');
    await one.page.getByLabel('Edited message').press('Escape');
    await one.page.keyboard.press('r');
    await one.page.getByText('2/2').waitFor();
    await one.lastText();
    await one.page.keyboard.press('n');
    await one.page.locator('.welcome').waitFor();
    await one.page.keyboard.type('?');
    expect(await one.field.inputValue()).toBe('?');
    // The key can be pressed by mistake, and more than once.
    await one.page.getByRole('button', { name: 'New conversation' }).click();
    await one.page.getByRole('button', { name: 'Back to the last conversation' }).click();
    await one.page.getByText('2/2').waitFor();
    await one.page.reload();
    expect(await one.page.locator('.bubble').allInnerTexts()).toEqual(['Write a haiku about the sea']);
  });

  test('exports the conversation with its narration, and reads it again', async () => {
    const one = await open();
    const text = await one.ask('Write a haiku about the sea');
    const download = async (name: string): Promise<Download> => {
      await one.page.locator('.menu summary').click();
      const [given] = await Promise.all([
        one.page.waitForEvent('download'),
        one.page.getByRole('button', { name }).click(),
      ]);
      return given;
    };
    const json = await (await download('Export as JSON')).path();
    const file = JSON.parse(await readFile(json, 'utf8'));
    expect(file).toMatchObject({ format: 'rbees-conversation', worker: { model: 'haiku', device: 'cpu' } });
    expect(file.turns[1].answer.text.trim()).toBe(text);
    const events = file.turns[1].answer.story.sentences.map((one: { event: string }) => one.event);
    expect(events).toEqual(expect.arrayContaining(['request.validated', 'inference.complete', 'time.explained']));
    const markdown = await readFile(await (await download('Export as Markdown')).path(), 'utf8');
    expect(markdown).toContain('Write a haiku about the sea');
    expect(markdown).toContain('HTTP server accepted job');

    await one.page.getByRole('button', { name: 'New conversation' }).click();
    await one.page.locator('.welcome').waitFor();
    await one.page.locator('.menu summary').click();
    await one.page.locator('input[type=file]').setInputFiles(json);
    await expect.poll(() => one.page.locator('.bubble').allInnerTexts()).toEqual(['Write a haiku about the sea']);
    expect(await one.lastText()).toBe(text);
    expect(await one.page.locator('.sentence').count()).toBeGreaterThan(5);
  });
});
