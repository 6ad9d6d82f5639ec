/** Tool calls, reasoning and JSON in the page. */
import { describe, expect, test } from 'vitest';
import { chromiumPath } from '../../support/chromium-path.ts';
import type { OpenedPage } from '../../support/opened-page.ts';
import { reasoned, toolCall } from '../../support/scripted-model/model.ts';
import { sharedWorker } from '../../support/shared-worker.ts';
import { tabs } from '../../support/tabs.ts';
import { scriptedWorker } from './workers.ts';

const TOOLS = [{ type: 'function', function: { name: 'get_weather', parameters: { type: 'object' } } }];
const SCHEMA = {
  type: 'object',
  properties: { ok: { type: 'boolean' } },
  required: ['ok'],
  additionalProperties: false,
};

describe.runIf(chromiumPath)('the page', () => {
  const open = tabs();
  const setField = async (one: OpenedPage, name: string, value: unknown): Promise<void> => {
    await one.page.getByRole('button', { name: 'Parameters' }).click();
    await one.page.locator(`#field-${name}`).fill(JSON.stringify(value));
    await one.page.getByRole('button', { name: 'Done' }).click();
  };

  test('shows reasoning apart from the answer, and tool calls as cards whose results continue the conversation', async () => {
    const worker = await scriptedWorker('parts', {
      plain: 'Hello.',
      withTools: reasoned('A city is named.', toolCall('get_weather', { city: 'Łódź', unit: 'celsius' })),
      afterTool: 'It is **7 °C** in Łódź.',
    });
    const one = await open(worker);
    await setField(one, 'tools', TOOLS);
    expect(await one.ask('How warm is it in Łódź?')).toBe('');
    await one.page.locator('.reasoning summary').click();
    expect(await one.page.locator('.reasoning-text').innerText()).toBe('A city is named.');
    const card = one.page.locator('.card.call');
    expect(await card.locator('.card-title').innerText()).toBe('Tool call get_weather');
    expect(JSON.parse(await card.locator('pre').innerText())).toEqual({ city: 'Łódź', unit: 'celsius' });
    await card.getByLabel('Result of get_weather').fill('{"degrees": 7}');
    const sent = one.page.waitForRequest((request) => request.url().endsWith('/execute'));
    await one.page.getByRole('button', { name: 'Continue with these results' }).click();
    const { messages } = (await sent).postDataJSON() as { messages: Record<string, unknown>[] };
    expect(messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool']);
    expect(messages[2]).toMatchObject({ content: '{"degrees": 7}' });
    await expect.poll(() => one.answers.count()).toBe(2);
    expect(await one.lastText()).toBe('It is 7 °C in Łódź.');
    expect(await one.answers.last().locator('strong').innerText()).toBe('7 °C');
    expect(await one.page.locator('.card.result pre').innerText()).toBe('{"degrees": 7}');
    expect(await one.page.locator('.calls textarea').count()).toBe(0);
  });

  test('shows JSON with indentation', async () => {
    const one = await open(await sharedWorker());
    await setField(one, 'schema', SCHEMA);
    const text = await one.ask('Is it?');
    expect(Object.keys(JSON.parse(text))).toContain('ok');
    expect(text).toContain('\n  "ok":');
    expect(await one.page.locator('.prose .json-key').first().innerText()).toBe('"ok"');
  });

  test('shows code, lists and line breaks of an answer', async () => {
    const plain = 'Two things:\n\n- `one`\n- **two**\n\n```js\nconst a = "<b>";\n```\n\nlast\nlines';
    const one = await open(await scriptedWorker('markdown', { plain }));
    await one.ask('List');
    const prose = one.page.locator('.prose');
    expect(await prose.locator('li').allInnerTexts()).toEqual(['one', 'two']);
    expect(await prose.locator('pre').innerText()).toBe('const a = "<b>";');
    expect(await prose.locator('p').last().innerText()).toBe('last\nlines');
  });
});
