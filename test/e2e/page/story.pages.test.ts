/** The story of a request that waits, has neighbours, or has no narration. */
import { describe, expect, test } from 'vitest';
import { chromiumPath } from '../../support/chromium-path.ts';
import { tabs } from '../../support/tabs.ts';
import type { TestWorker } from '../../support/worker.ts';
import { scriptedWorker } from './workers.ts';

const LONG = 'One more line of a very long text. '.repeat(3000);
const SHORT = 'A short answer.';

describe.runIf(chromiumPath)('the story', () => {
  const open = tabs();
  const start = (worker: TestWorker, job_id: string): Promise<Response> =>
    worker.post('/execute', { job_id, prompt: 'Go', on_disconnect: 'continue' });

  test('of a request that waits for a slot shows the wait, live and at the end', async () => {
    const worker = await scriptedWorker('queue', { plain: LONG, withTools: SHORT }, { args: ['--slots', '1'] });
    const neighbour = await start(worker, 'before');
    await worker.line('inference.start', (line) => line['job_id'] === 'before');
    const one = await open(worker);
    await one.send('Me too');
    await one.page.locator('.story .state', { hasText: 'waiting for a slot' }).waitFor();
    await one.page.getByText(/^Engine queues the request at position 1/).waitFor();
    await one.page.locator('.worker .waiting', { hasText: '+1' }).waitFor();
    await worker.post('/cancel', { job_id: 'before' });
    await neighbour.text();
    await one.page.locator('.story .state', { hasText: 'writing' }).waitFor();
    await expect.poll(() => one.page.locator('.chart rect.phase-queued').count()).toBe(1);
    await one.page.keyboard.press('Escape');
    await one.lastText();
    await expect.poll(() => one.page.locator('.chart svg').getAttribute('aria-label')).toMatch(/queued \d/);
  });

  test('marks a neighbour that joins', async () => {
    const worker = await scriptedWorker('neighbours', { plain: LONG }, { args: ['--slots', '3'] });
    const one = await open(worker);
    await one.send('Go');
    await one.page.locator('.story .state', { hasText: 'writing' }).waitFor();
    const neighbour = await start(worker, 'beside');
    const causes = one.page.locator('.causes');
    await causes.getByText(/a neighbour joined|with neighbours/).waitFor();
    expect(await one.page.locator('.chart .cause').count()).toBeGreaterThanOrEqual(1);
    await worker.post('/cancel', { job_id: 'beside' });
    await neighbour.text();
    await causes.getByText('a neighbour left').waitFor();
    await one.page.keyboard.press('Escape');
    await one.lastText();
  });

  test('without narration has the tokens and the facts', async () => {
    const worker = await scriptedWorker('mute', { plain: SHORT }, { args: ['--narration', 'off'] });
    const one = await open(worker);
    expect(await one.ask('Hello')).toBe(SHORT);
    await expect.poll(() => one.page.locator('.about').innerText()).toMatch(/answer\s+15 tokens/);
    expect(await one.page.locator('.sentence').count()).toBe(0);
    expect(await one.page.locator('.meta').innerText()).toBe('15 tokens');
  });
});
