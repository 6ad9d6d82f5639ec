/**
 * A prompt that begins like the content of a slot reuses it: with numbers in the narration and the text of a
 * cold cache.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { embeddedModel } from '../../../src/model/folder.ts';
import { Tokenizer } from '../../../src/text/tokenizer/tokenizer.ts';
import { lastOf, narrated } from '../../support/listener.ts';
import { all, type StreamEvent, startWorker, type TestWorker, textOf } from '../../support/worker.ts';

let warm: TestWorker;
let cold: TestWorker;
beforeAll(async () => {
  [warm, cold] = await Promise.all([startWorker({ args: ['--slots', '1'] }), startWorker({ args: ['--slots', '1'] })]);
});
afterAll(() => Promise.all([warm.kill(), cold.kill()]));

const hitOf = (events: readonly StreamEvent[]): Record<string, unknown> | undefined =>
  all(events, 'narration').find((told) => told['event'] === 'cache.hit');

describe('the second turn of a chat', () => {
  let first: StreamEvent[];
  let second: StreamEvent[];
  let afresh: StreamEvent[];
  beforeAll(async () => {
    const opening = [{ role: 'user', content: 'Write a haiku about the sea' }];
    first = await warm.execute({ job_id: 'turn-1', messages: opening, seed: 5 });
    const messages = [
      ...opening,
      { role: 'assistant', content: textOf(first) },
      { role: 'user', content: 'Now one about the moon' },
    ];
    second = await warm.execute({ job_id: 'turn-2', messages, seed: 6, temperature: 1 });
    afresh = await cold.execute({ job_id: 'turn-2', messages, seed: 6, temperature: 1 });
  });

  test('reuses all of the first turn, and reports the tokens reused and in total', () => {
    const kept = Number(lastOf(second)['cached_tokens']);
    expect(lastOf(first)['stop_reason']).toBe('eos');
    expect(kept).toBe(Number(lastOf(first)['tokens_in']) + Number(lastOf(first)['tokens_out']));
    expect(hitOf(second)).toMatchObject({ cached_tokens: kept, tokens_in: lastOf(second)['tokens_in'], slot: 0 });
    expect(hitOf(second)).not.toHaveProperty('diverged_at');
    expect(hitOf(second)?.['human']).toBe(
      `Engine reuses ${kept} of ${lastOf(second)['tokens_in']} prompt tokens; the prompt continues where the slot ended`,
    );
    const reset = all(second, 'narration').find((told) => told['event'] === 'cache.reset');
    expect(reset).toMatchObject({ cached_tokens: kept });
  });

  test('has the text of a worker that has not run the first', () => {
    expect(textOf(second).length).toBeGreaterThan(10);
    expect(textOf(second)).toBe(textOf(afresh));
    expect(lastOf(afresh)).toMatchObject({ cached_tokens: 0, tokens_out: lastOf(second)['tokens_out'] });
    expect(narrated(afresh)).not.toContain('cache.hit');
  });
});

describe('a raw prompt', () => {
  const PROMPT = 'The sea is wide and the moon is far away and the frog';
  const run = (worker: TestWorker, job_id: string, prompt: string): Promise<StreamEvent[]> =>
    worker.execute({ job_id, prompt, raw: true, temperature: 0.8, seed: 9, min_tokens: 20, max_tokens: 20 });

  test('that differs reports the first token that differs', async () => {
    const other = PROMPT.replace('moon', 'mountain');
    const folder = embeddedModel();
    const tokenizer = await Tokenizer.open({
      tokenizerFile: `${folder}/tokenizer.json`,
    });
    const options = { addSpecialTokens: true };
    const [before, after] = [await tokenizer.encode(PROMPT, options), await tokenizer.encode(other, options)];
    const place = after.findIndex((id, index) => id !== before[index]);
    await run(warm, 'before', PROMPT);
    const events = await run(warm, 'after', other);
    expect(hitOf(events)).toMatchObject({ cached_tokens: place, diverged_at: place, tokens_in: after.length });
    expect(hitOf(events)?.['human']).toContain(`differs from position ${place} on`);
    expect(textOf(events)).toBe(textOf(await run(cold, 'after', other)));
  });

  test('that continues the content of the slot reports no difference', async () => {
    const opening = await run(warm, 'opening', PROMPT);
    const events = await run(warm, 'longer', `${PROMPT}${textOf(opening)} and the wind and the rain`);
    // The last token of the opening was drawn and not computed.
    const kept = Number(lastOf(opening)['tokens_in']) + Number(lastOf(opening)['tokens_out']) - 1;
    expect(lastOf(events)['cached_tokens']).toBe(kept);
    expect(hitOf(events)).toMatchObject({ cached_tokens: kept });
    expect(hitOf(events)).not.toHaveProperty('diverged_at');
  });

  test('that is repeated is reused except its last two tokens', async () => {
    const once = await run(warm, 'once', PROMPT);
    const again = await run(warm, 'again', PROMPT);
    const tokensIn = Number(lastOf(again)['tokens_in']);
    expect(lastOf(again)['cached_tokens']).toBe(tokensIn - 2);
    expect(hitOf(again)).not.toHaveProperty('diverged_at');
    expect(textOf(again)).toBe(textOf(once));
  });

  test('is counted in the metrics', async () => {
    const text = await (await warm.get('/metrics')).text();
    const hits = warm.lines.filter((line) => line.event === 'cache.hit');
    const reused = hits.reduce((sum, line) => sum + Number(line['cached_tokens']), 0);
    expect(reused).toBeGreaterThan(0);
    expect(Number(/^worker_prefix_cache_tokens_total (\d+)/m.exec(text)?.[1])).toBe(reused);
  });
});
