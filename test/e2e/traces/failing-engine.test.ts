/** A request that ends with its engine: its span and its open phase are failures. */
import { afterEach, expect, test } from 'vitest';
import { enginePid } from '../../support/cli.ts';
import { Listener, longJob } from '../../support/listener.ts';
import { SpanReceiver } from '../../support/span-receiver.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

let worker: TestWorker;
let receiver: SpanReceiver;
afterEach(async () => {
  await worker.kill();
  await receiver.close();
});

test('with --on-engine-loss fail', async () => {
  receiver = await SpanReceiver.open();
  worker = await startWorker({
    args: ['--on-engine-loss', 'fail'],
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_BSP_SCHEDULE_DELAY: '20' },
  });
  const stream = await Listener.open(worker, longJob('failed'));
  await stream.untilToken(3);
  process.kill(enginePid(worker), 'SIGKILL');
  await stream.ended;
  const [server, ...phases] = await receiver.trace(() => true);
  expect(server).toMatchObject({
    status: { code: 2 },
    attributes: { 'rbees.outcome': 'error', 'error.type': 'engine_lost', 'http.response.status_code': 200 },
  });
  expect(phases.map(({ name }) => name)).toEqual(['queue', 'prefill', 'decode']);
  expect(phases.at(-1)).toMatchObject({ status: { code: 2 }, attributes: { 'error.type': 'engine_lost' } });
});
