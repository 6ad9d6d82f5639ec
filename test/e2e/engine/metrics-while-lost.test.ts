/** The metrics of a real worker: aliases equal their sources, and a scrape is right while the engine is lost. */
import { afterEach, expect, test } from 'vitest';
import { enginePid, nextEnginePid } from '../../support/cli.ts';
import { eventually } from '../../support/eventually.ts';
import { lastOf } from '../../support/listener.ts';
import { Scrape } from '../../support/scrape.ts';
import { openAll } from '../../support/survivors.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

let worker: TestWorker;
afterEach(() => worker.kill());

const namesOf = ({ types }: Scrape): readonly string[] =>
  [...types.keys()].filter((name) => /^(?:vllm:|worker_)/.test(name)).toSorted();
/** Running and waiting requests, as the worker and as vLLM name them. */
const loadOf = (scrape: Scrape): readonly number[] =>
  ['worker_requests_running', 'vllm:num_requests_running', 'worker_requests_waiting', 'vllm:num_requests_waiting'].map(
    (name) => scrape.value(name),
  );

test('while the engine is lost, every metric is there, and all requests count as waiting', async () => {
  // Without drafts, each step has one token of an output.
  worker = await startWorker({ args: ['--slots', '2', '--worker-id', 'w', '--speculation', 'off'] });
  const idle = await Scrape.of(worker);
  const streams = await openAll(worker, [1, 2, 3], { min_tokens: 480, max_tokens: 480 });
  await Promise.all(streams.slice(0, 2).map((stream) => stream.untilToken(3)));
  const engine = enginePid(worker);
  process.kill(engine, 'SIGSTOP'); // No stream ends before the loss.
  // A scrape can show the state of 0.1 s ago.
  await eventually(async () => expect(loadOf(await Scrape.of(worker))).toEqual([2, 2, 1, 1]));
  process.kill(engine, 'SIGKILL');
  const next = await nextEnginePid(worker, engine);
  process.kill(next, 'SIGSTOP'); // The worker has no engine until this one goes on.
  await eventually(async () => expect((await Scrape.of(worker)).value('worker_engine_up')).toBe(0));
  const lost = await Scrape.of(worker);
  expect(namesOf(lost)).toEqual(namesOf(idle));
  expect(loadOf(lost)).toEqual([0, 0, 3, 3]);
  expect(lost.value('worker_engine_losses_total')).toBe(1);
  const [info] = lost.all('vllm:cache_config_info');
  expect(info?.labels).toEqual(idle.all('vllm:cache_config_info')[0]?.labels);
  // A scrape of a lost engine is no copy of the last one.
  const age = lost.value('worker_engine_heartbeat_age_seconds');
  await eventually(async () =>
    expect((await Scrape.of(worker)).value('worker_engine_heartbeat_age_seconds')).toBeGreaterThan(age),
  );
  process.kill(next, 'SIGCONT');
  for (const stream of streams) expect(lastOf(await stream.ended)).toMatchObject({ type: 'end', tokens_out: 480 });
  await eventually(async () => expect(loadOf(await Scrape.of(worker))).toEqual([0, 0, 0, 0]));
  const after = await Scrape.of(worker);
  expect(after.value('worker_engine_up')).toBe(1);
  // Every token after the first of an output, and none twice.
  expect(after.histogram('worker_inter_token_latency_seconds').count).toBe(3 * 479);
  for (const name of ['time_to_first_token', 'e2e_request_latency', 'request_queue_time', 'request_decode_time'])
    expect([name, after.histogram(`vllm:${name}_seconds`).count]).toEqual([name, 3]);
  expect(after.value('vllm:request_success_total', { finished_reason: 'length' })).toBe(3);
});

test('a refused request is counted by its code, and has a place in the aliases if the queue was full', async () => {
  worker = await startWorker({ args: ['--slots', '1', '--queue', '0'] });
  const [stream] = await openAll(worker, [1]);
  await stream?.untilToken(0);
  expect((await worker.post('/execute', { job_id: 'refused', prompt: 'hi' })).status).toBe(503);
  expect((await worker.post('/execute', { job_id: 'invalid' })).status).toBe(400);
  stream?.leave();
  await eventually(async () => {
    const scrape = await Scrape.of(worker);
    expect(scrape.value('vllm:admission_rejections_total')).toBe(1);
    expect(scrape.value('worker_http_errors_total', { code: 'ALL_SLOTS_BUSY' })).toBe(1);
    expect(scrape.value('worker_http_errors_total', { code: 'INVALID_REQUEST' })).toBe(1);
    expect(scrape.value('vllm:request_success_total', { finished_reason: 'abort' })).toBe(1);
    expect([scrape.value('worker_slots'), scrape.value('worker_queue_limit')]).toEqual([1, 0]);
  });
});

test('--metrics-aliases none has the own names only', async () => {
  worker = await startWorker({ args: ['--metrics-aliases', 'none'] });
  const names = namesOf(await Scrape.of(worker));
  expect(names).toContain('worker_requests_running');
  expect(names.filter((name) => name.startsWith('vllm:'))).toEqual([]);
});
