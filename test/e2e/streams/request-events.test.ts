/** The eight request events of the contract, each provoked; and no lifecycle event in any stream. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CATALOGUE } from '../../../src/narration/catalogue/catalogue.ts';
import { enginePid } from '../../support/cli.ts';
import { Listener, lastOf, longJob, narrated } from '../../support/listener.ts';
import { all, startWorker, type TestWorker } from '../../support/worker.ts';

const LIFECYCLE = Object.entries(CATALOGUE)
  .filter(([, entry]) => entry.scope === 'lifecycle')
  .map(([event]) => event);

describe('the eight events of a request', () => {
  let worker: TestWorker;
  beforeAll(async () => {
    worker = await startWorker({ args: ['--slots', '2'] });
  });
  afterAll(() => worker.kill());

  test('six of them in a successful request', async () => {
    const told = narrated(await worker.execute({ job_id: 'well', prompt: 'The sea', min_tokens: 12, max_tokens: 12 }));
    const wanted = [
      'request.validated',
      'inference.start',
      'prompt.tokenized',
      'cache.reset',
      'tokens.progress',
      'inference.complete',
    ];
    expect(told.filter((event) => wanted.includes(event))).toEqual(wanted);
  });

  test('request.invalid, with the invalid fields', async () => {
    const events = await worker.execute(
      { job_id: 'invalid', prompt: 'The sea', max_tokens: 0, temperature: 3 },
      { Accept: 'text/event-stream' },
    );
    expect(all(events, 'narration')).toEqual([
      expect.objectContaining({
        event: 'request.invalid',
        actor: 'http-server',
        action: 'error',
        target: 'invalid',
        error_kind: 'validation_failed',
        field_errors: 2,
        fields: 'max_tokens, temperature',
      }),
    ]);
    expect(lastOf(events)).toMatchObject({ type: 'error', code: 'INVALID_REQUEST', retriable: false });
  });

  test('inference.failed, after the narration of the cause', async () => {
    const stream = await Listener.open(worker, longJob('failed'));
    await stream.untilToken();
    await worker.post('/cancel', { job_id: 'failed' });
    const events = await stream.ended;
    expect(narrated(events).slice(-2)).toEqual(['request.cancelled', 'inference.failed']);
    expect(all(events, 'narration').at(-1)).toMatchObject({
      actor: 'inference-engine',
      action: 'error',
      target: 'failed',
      error_kind: 'cancelled',
      tokens_out: expect.any(Number),
    });
  });

  test('a job reports the jobs beside it', async () => {
    const beside = await Listener.open(worker, longJob('beside'));
    await beside.untilToken();
    const events = await worker.execute({ job_id: 'joining', prompt: 'The moon', max_tokens: 2 });
    expect(all(events, 'narration').find((told) => told['event'] === 'batch.joined')).toMatchObject({ batch_size: 2 });
    await beside.ended;
  });
});

describe('lifecycle events are in no stream', () => {
  test('while the engine is lost and restarts, and while the worker drains', async () => {
    const worker = await startWorker({ args: ['--slots', '2', '--on-engine-loss', 'fail'] });
    try {
      const lost = await Listener.open(worker, longJob('lost'));
      await lost.untilToken(5);
      process.kill(enginePid(worker), 'SIGKILL');
      await lost.ended;
      await worker.line('engine.restarted');
      const drained = await Listener.open(worker, longJob('drained'));
      await drained.untilToken(5);
      expect(await worker.stop()).toBe(0);
      await drained.ended;
      const heard = [...lost.told, ...drained.told];
      expect(heard.filter((event) => LIFECYCLE.includes(event))).toEqual([]);
      expect(lost.told.slice(-2)).toEqual(['request.engine_lost', 'inference.failed']);
      expect(drained.told).toContain('request.draining');
      const lines = worker.lines.map((line) => line.event);
      for (const event of ['engine.lost', 'engine.restarted', 'worker.draining', 'server.shutdown'])
        expect(lines).toContain(event);
    } finally {
      await worker.kill();
    }
  });

  test('lifecycle lines carry no ids of a request', async () => {
    const worker = await startWorker();
    try {
      await worker.execute({ job_id: 'one', prompt: 'The sea', max_tokens: 3 });
      expect(await worker.stop()).toBe(0);
      const own = worker.lines.filter((line) => LIFECYCLE.includes(line.event));
      expect(own.length).toBeGreaterThan(6);
      for (const line of own) {
        expect(line).not.toHaveProperty('job_id');
        expect(line).not.toHaveProperty('correlation_id');
      }
    } finally {
      await worker.kill();
    }
  });
});
