/** Hostile texts in every place of the page, and a worker with a token. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chromiumPath } from '../../support/chromium-path.ts';
import type { OpenedPage } from '../../support/opened-page.ts';
import { scriptedModel, toolCall } from '../../support/scripted-model/model.ts';
import { tabs } from '../../support/tabs.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

/** Each would set `hacked` if any part of the page parsed it. */
const ATTACKS = [
  '<img src=x onerror="hacked=1">',
  '<script>hacked=1</script>',
  '<svg/onload=hacked=1>',
  '"><iframe srcdoc="<script>parent.hacked=1</script>">',
  '[link](javascript:hacked=1)',
  '<a href="javascript:hacked=1">x</a>',
  '<style>*{display:none}</style>',
];
const ATTACK = ATTACKS.join('\n\n');
const TOKEN = 'token-of-the-page';

describe.runIf(chromiumPath)('hostile text', () => {
  const root = mkdtempSync(join(tmpdir(), 'page-'));
  let [worker, locked]: TestWorker[] = [];
  beforeAll(async () => {
    const model = await scriptedModel(join(root, '<img src=x onerror=hacked=1>'), {
      plain: `${ATTACK}\n\n\`\`\`\n${ATTACK}\n\`\`\``,
      withTools: toolCall('any', { [ATTACK]: ATTACK }),
      afterTool: ATTACK,
    });
    [worker, locked] = await Promise.all([
      startWorker({ args: ['--model', model, '--worker-id', 'safe'] }),
      startWorker({ env: { RBEES_API_TOKEN: TOKEN } }),
    ]);
  });
  afterAll(async () => {
    await Promise.all([worker?.kill(), locked?.kill()]);
    rmSync(root, { recursive: true, force: true });
  });
  const open = tabs();
  const get = (one: TestWorker | undefined): TestWorker => one as TestWorker;

  /** No text has become an element, and no script ran. */
  async function expectTextOnly({ page }: OpenedPage): Promise<void> {
    expect(await page.evaluate('typeof hacked')).toBe('undefined');
    expect(await page.locator('body :is(img, script, iframe, style, object, embed, base, link)').count()).toBe(0);
    expect(await page.locator('a[href]').count()).toBe(0);
  }

  test('of a person, a model and the name of a model stays text', async () => {
    const one = await open(get(worker));
    await one.send(ATTACK);
    const text = await one.lastText();
    for (const attack of ATTACKS) expect(text).toContain(attack);
    expect(await one.page.locator('.bubble').innerText()).toBe(ATTACK);
    await expect.poll(() => one.page.locator('.worker .model').innerText()).toContain('<img src=x');
    await expectTextOnly(one);
  });

  test('in the system prompt, tool calls and results of tools stays text', async () => {
    const one = await open(get(worker));
    await one.page.getByRole('button', { name: 'Parameters' }).click();
    await one.page.locator('#field-system').fill(ATTACK);
    await one.page
      .locator('#field-tools')
      .fill(JSON.stringify([{ type: 'function', function: { name: 'any', description: ATTACK, parameters: {} } }]));
    await one.page.getByRole('button', { name: 'Done' }).click();
    await one.send('Call it');
    await one.lastText();
    expect(await one.page.locator('.card.call pre').innerText()).toContain(ATTACKS[1]);
    await one.page.locator('.calls textarea').fill(ATTACK);
    await one.page.getByRole('button', { name: 'Continue with these results' }).click();
    await expect.poll(() => one.answers.count()).toBe(2);
    expect(await one.lastText()).toContain(ATTACKS[0]);
    expect(await one.page.locator('.card.result pre').innerText()).toBe(ATTACK);
    await expectTextOnly(one);
  });

  test('in narration, events and errors stays text', async () => {
    const one = await open(get(worker));
    const event = (data: object): string => `event: x\ndata: ${JSON.stringify(data)}\n\n`;
    const common = { correlation_id: ATTACK, worker_id: ATTACK };
    const texts = { actor: ATTACK, action: ATTACK, target: ATTACK, human: ATTACK, cute: ATTACK, story: ATTACK };
    await one.page.route('**/execute', (route) =>
      route.fulfill({
        contentType: 'text/event-stream',
        body: [
          event({ type: 'started', model: ATTACK, seed: ATTACK, job_id: ATTACK, ...common }),
          event({ type: 'narration', event: 'generation.slowed', level: ATTACK, cause: ATTACK, ...texts, ...common }),
          event({ type: 'token', t: ATTACK, i: 0 }),
          event({ type: 'token', t: ATTACK, i: 1, part: 'reasoning' }),
          event({ type: 'token', t: ATTACK, i: 2, part: 'tool_name', call: 0, call_id: ATTACK }),
          event({ type: 'token', t: ATTACK, i: 3, part: 'tool_arguments', call: 0 }),
          event({ type: 'error', code: ATTACK, message: ATTACK, retry: ATTACK, ...common }),
        ].join(''),
      }),
    );
    await one.send('Hello');
    expect(await one.lastText()).toContain(ATTACKS[0]);
    expect(await one.page.locator('.failure .card-title').innerText()).toContain(ATTACKS[1]);
    await expect.poll(() => one.page.locator('.sentence').innerText()).toContain(ATTACKS[2]);
    await expectTextOnly(one);
  });

  test('in an imported file stays text', async () => {
    const one = await open(get(worker));
    const turns = [
      { id: 't1', parent: '', kind: 'user', text: ATTACK },
      {
        id: 't2',
        parent: 't1',
        kind: 'answer',
        answer: { text: ATTACK, status: ATTACK, calls: [{ name: ATTACK }], story: 5 },
      },
      { id: 't3', parent: 't3', kind: 'user', text: 'its own parent' },
      { id: ATTACK, parent: 't2', kind: ATTACK },
      null,
    ];
    const file = { format: 'rbees-conversation', turns, chosen: { '': ATTACK }, parameters: { system: ATTACK, x: 5 } };
    await one.page.locator('input[type=file]').setInputFiles({
      name: 'a.json',
      mimeType: 'application/json',
      buffer: Buffer.from(JSON.stringify(file)),
    });
    await expect.poll(() => one.page.locator('.bubble').allInnerTexts()).toEqual([ATTACK]);
    await expectTextOnly(one);
  });

  test('a worker with a token asks for it, and the token stays in the tab', async () => {
    const one = await open(get(locked), { expected: /Failed to load resource: .* 401/ });
    await one.page.getByLabel('Token', { exact: true }).fill('wrong-token-of-the-page');
    await one.page.getByLabel('Token', { exact: true }).press('Enter');
    await one.page.getByText('The worker does not accept this token.').waitFor();
    await one.page.getByLabel('Token', { exact: true }).fill(TOKEN);
    await one.page.getByRole('button', { name: 'Continue' }).click();
    await one.page.locator('.worker[data-status=healthy]').waitFor();
    expect(await one.ask('Write a haiku about the sea')).not.toBe('');
    await one.page.reload();
    expect(await one.ask('Another one')).not.toBe('');
    expect(await one.page.evaluate('JSON.stringify(localStorage)')).not.toContain(TOKEN);
    expect(one.page.url()).not.toContain(TOKEN);
    const other = await open(get(locked), { expected: /Failed to load resource: .* 401/ });
    await other.page.getByLabel('Token', { exact: true }).waitFor();
  });
});
