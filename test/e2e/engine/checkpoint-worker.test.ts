/** Workers that serve random checkpoints: the ids of the reference over HTTP, with several requests at once. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, test } from 'vitest';
import { writeCheckpoint } from '../../support/checkpoints/folder.ts';
import { CONTEXT, checkpointNamed } from '../../support/checkpoints/models.ts';
import { all, startWorker, type TestWorker } from '../../support/worker.ts';

const root = await mkdtemp(join(tmpdir(), 'checkpoint-worker-'));
afterAll(() => rm(root, { recursive: true }));
const workers: TestWorker[] = [];
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.kill()));
});

test.each([
  ['llama-biases', 'fp32'],
  ['phi3-long', 'fp32'],
  ['gemma-3', 'bf16'],
])('a worker serves the checkpoint %s, of dtype %s', async (name, dtype) => {
  const folder = join(root, name);
  writeCheckpoint(folder, checkpointNamed(name));
  const worker = await startWorker({
    args: ['--model', folder, '--device', 'cpu', '--context', String(CONTEXT), '--slots', '3'],
  });
  workers.push(worker);
  expect(await worker.line('model.load_started')).toMatchObject({ dtype, device: 'cpu' });
  const outputs = checkpointNamed(name).continuations.map(async ({ prompt, ids }, index) => {
    const text = Buffer.from(prompt).toString();
    const asked = { prompt: text, raw: true, ids: true, temperature: 0, max_tokens: ids.length };
    const events = await worker.execute({ job_id: `job-${index}`, ...asked });
    return all(events, 'token').flatMap((token) => token['ids'] ?? []);
  });
  expect(await Promise.all(outputs)).toEqual(checkpointNamed(name).continuations.map(({ ids }) => ids));
});
