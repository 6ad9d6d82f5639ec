/** `--narration` selects the texts of streams; the log always has all texts. */
import { expect, test } from 'vitest';
import { lastOf, narrated } from '../../support/listener.ts';
import { all, numberOf, startWorker, textOf } from '../../support/worker.ts';

const JOB = { job_id: 'mode', prompt: 'Write a haiku about the sea', seed: 5, temperature: 0.8 };
const IDS = { 'X-Correlation-Id': 'req-mode' };

async function inMode(mode: string) {
  const worker = await startWorker({ args: ['--narration', mode] });
  try {
    const events = await worker.execute(JOB, IDS);
    const invalid = await worker.execute({ job_id: 'mode' }, { Accept: 'text/event-stream' });
    return { events, invalid, lines: await worker.told('req-mode') };
  } finally {
    await worker.kill();
  }
}

test('human omits cute and story, and nothing else', async () => {
  const { events, lines } = await inMode('human');
  expect(narrated(events)).toEqual(lines.map((line) => line.event));
  for (const narration of all(events, 'narration')) {
    expect(narration).not.toHaveProperty('cute');
    expect(narration).not.toHaveProperty('story');
    expect(narration['human']).toBeTypeOf('string');
  }
  for (const line of lines) expect(line['cute']).toBeTypeOf('string');
});

test('off leaves tokens, metrics and the end; the log has all narrations', async () => {
  const { events, invalid, lines } = await inMode('off');
  expect(narrated(events)).toEqual([]);
  expect(events.map(numberOf)).toEqual(events.map((_, index) => index));
  expect(lastOf(events).type).toBe('end');
  expect(textOf(events)).not.toBe('');
  expect(lines.map((line) => line.event)).toContain('inference.complete');
  for (const line of lines) expect(line['cute']).toBeTypeOf('string');
  expect(invalid.map((event) => event.data.type)).toEqual(['error']);
});

test('progress is narrated as often as --progress-every says', async () => {
  const worker = await startWorker({ args: ['--progress-every', '3'] });
  try {
    const events = await worker.execute({ ...JOB, min_tokens: 10, max_tokens: 10 });
    const progress = all(events, 'narration').filter((narration) => narration['event'] === 'tokens.progress');
    expect(progress.map((narration) => narration['tokens_out'])).toEqual([3, 6, 9]);
  } finally {
    await worker.kill();
  }
});
