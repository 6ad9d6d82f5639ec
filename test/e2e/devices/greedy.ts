/** The output of the embedded model on the CPU, with which tests compare other devices. */
import { expect } from 'vitest';
import { startWorker, textOf } from '../../support/worker.ts';

export const GREEDY = { prompt: 'Write a haiku about the sea', temperature: 0, max_tokens: 24 };

export async function textOnCpu(): Promise<string> {
  const worker = await startWorker({ args: ['--device', 'cpu'] });
  const text = textOf(await worker.execute({ job_id: 'cpu', ...GREEDY }));
  await worker.kill();
  expect(text.length).toBeGreaterThan(20);
  return text;
}
