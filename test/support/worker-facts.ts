/** The facts that a worker reports when it is ready: in the ready callback and in the line of --ready-fd. */
import { expect } from 'vitest';
import type { TestWorker } from './worker.ts';

/** The facts of a worker with the embedded model, as matchers where a test cannot know the value. */
export const factsOf = (worker: TestWorker, workerId: string): object => ({
  worker_id: workerId,
  instance_id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
  pid: worker.process.pid,
  started_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
  model: 'haiku',
  model_ref: 'haiku',
  url: worker.url,
  uri: worker.url,
  device: 'cpu',
  slots: expect.any(Number),
  context_length: 512,
  vram_bytes: 0,
  memory_bytes: expect.any(Number),
  capabilities: ['text-gen'],
  protocol: 'sse',
  version: expect.stringMatching(/^\d+\.\d+\.\d+/),
  schema_version: 2,
});
