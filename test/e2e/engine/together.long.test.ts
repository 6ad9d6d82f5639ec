/** Requests decoded together give the text of each alone, for any prompts, lengths and seeds. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { enginePid } from '../../support/cli.ts';
import { lastOf } from '../../support/listener.ts';
import { all, startWorker, type TestWorker, textOf } from '../../support/worker.ts';

const ROWS = 16;
const WORDS = [
  'sea',
  'moon',
  'frog',
  'rain',
  'the',
  'an old',
  'pier',
  'snow',
  '蛙',
  '🐸',
  'Please',
  'write',
  'a haiku',
  '\n',
];

const words = fc.array(fc.constantFrom(...WORDS), { minLength: 1, maxLength: 40 }).map((some) => some.join(' '));
const body = fc.record({
  prompt: words,
  raw: fc.boolean(),
  temperature: fc.constantFrom(0, 0, 0.7, 1, 1.5),
  seed: fc.nat(),
  top_k: fc.constantFrom(0, 0, 5, 40),
  top_p: fc.constantFrom(1, 1, 0.9),
  min_p: fc.constantFrom(0, 0, 0.05),
  repetition_penalty: fc.constantFrom(1, 1, 1.2),
  min_tokens: fc.constant(24),
  max_tokens: fc.integer({ min: 24, max: 60 }),
});
/** One seed, so that a failure can be repeated. FC_SEED sets another. */
const bodies = fc.sample(body, { numRuns: ROWS, seed: Number(process.env['FC_SEED'] ?? 575) });

let worker: TestWorker;
beforeAll(async () => {
  worker = await startWorker({ args: ['--slots', String(ROWS), '--stall-after', '600'] });
});
afterAll(() => worker.kill());

test('sixteen random requests together give the texts of one by one', async () => {
  const alone: string[] = [];
  for (const [index, one] of bodies.entries())
    alone.push(textOf(await worker.execute({ job_id: `alone-${index}`, ...one })));
  // The engine is suspended until all have arrived, so that all of them run together.
  process.kill(enginePid(worker), 'SIGSTOP');
  const running = Promise.all(bodies.map((one, index) => worker.execute({ job_id: `together-${index}`, ...one })));
  for (let index = 0; index < ROWS; index += 1)
    await worker.line('prompt.tokenized', (line) => line['job_id'] === `together-${index}`);
  process.kill(enginePid(worker), 'SIGCONT');
  const streams = await running;
  expect(streams.map(textOf)).toEqual(alone);
  for (const events of streams) expect(lastOf(events).type).toBe('end');
  const sizes = streams.flatMap((events) => all(events, 'narration').map((told) => Number(told['batch_size'] ?? 0)));
  expect(Math.max(...sizes)).toBe(ROWS);
});
