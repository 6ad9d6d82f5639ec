/** Requests that give up their memory and go on: their spans tell it, and no token is counted twice. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Listener, lastOf, longJob } from '../../support/listener.ts';
import { type ReceivedSpan, SpanReceiver } from '../../support/span-receiver.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

/** MiB: 512 tokens of the embedded model, so two jobs of 480 tokens do not fit. */
const BUDGET_MIB = '1';

let receiver: SpanReceiver;
let worker: TestWorker;
beforeAll(async () => {
  receiver = await SpanReceiver.open();
  worker = await startWorker({
    args: ['--slots', '2', '--cache-memory', BUDGET_MIB],
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_BSP_SCHEDULE_DELAY: '20' },
  });
});
afterAll(async () => {
  await worker.kill();
  await receiver.close();
});

/** The phases of an output: the first ones, and those after each interruption. */
const PHASES = /^queue prefill decode(?: interruption prefill(?: decode)?)*$/;

test('an output that is preempted goes on with prefill and decode after an interruption', async () => {
  const ids = ['first', 'second'];
  const streams = await Promise.all(ids.map((id) => Listener.open(worker, longJob(id))));
  for (const stream of streams) expect(lastOf(await stream.ended).type).toBe('end');
  let preemptions = 0;
  for (const [index, id] of ids.entries()) {
    const [server, ...phases] = await receiver.trace(({ attributes }) => attributes['rbees.job_id'] === id);
    expectWhole(server as ReceivedSpan, phases);
    const told = streams[index]?.told.filter((event) => event === 'request.preempted') ?? [];
    const interruptions = phases.filter(({ name }) => name === 'interruption');
    expect(interruptions).toHaveLength(told.length);
    for (const { status, attributes } of interruptions) {
      expect(status).toMatchObject({ code: 0 });
      expect(attributes).toMatchObject({ 'rbees.interruption': 'preempted' });
    }
    expect(server?.events.filter(({ name }) => name === 'request.preempted')).toHaveLength(told.length);
    preemptions += told.length;
  }
  expect(preemptions).toBeGreaterThan(0);
});

/** The phases follow one another, and have all tokens of the output. */
function expectWhole(server: ReceivedSpan, phases: readonly ReceivedSpan[]): void {
  expect(server).toMatchObject({ status: { code: 0 }, attributes: { 'rbees.outcome': 'success' } });
  expect(phases.map(({ name }) => name).join(' ')).toMatch(PHASES);
  const tokens = phases.map(({ attributes }) => Number(attributes['rbees.tokens_out'] ?? 0));
  expect(tokens.reduce((sum, one) => sum + one, 0)).toBe(480);
  expect(server.attributes['gen_ai.usage.output_tokens']).toBe(480);
  for (const [index, { startTimeUnixNano }] of phases.entries()) {
    const before = phases[index - 1];
    if (before) expect(BigInt(startTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(before.endTimeUnixNano));
  }
}
