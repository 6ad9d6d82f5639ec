/** A receiver that is not there, refuses or hangs costs spans, and neither requests nor the end of the worker. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Listener, longJob } from '../../support/listener.ts';
import { type Reply, SpanReceiver } from '../../support/span-receiver.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

let receiver: SpanReceiver;
let worker: TestWorker;
beforeEach(async () => {
  receiver = await SpanReceiver.open();
});
afterEach(async () => {
  await worker.kill();
  await receiver.close();
});

const run = (id: string) => worker.execute({ job_id: id, prompt: 'The sea', max_tokens: 3 });

/** Spans that were dropped, from the metrics. */
async function dropped(): Promise<number> {
  const text = await (await worker.get('/metrics')).text();
  const counts = [...text.matchAll(/^worker_trace_spans_dropped_total\{[^}]*\} (\d+)$/gm)];
  expect(counts.length).toBeGreaterThan(0);
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}

test.each<[string, Reply]>([
  ['hangs', 'hang'],
  ['answers 503', { status: 503, headers: { 'Retry-After': '600' } }],
  ['answers 400', { status: 400 }],
])('a receiver that %s: all requests end, and the lost spans are counted and reported', async (_, reply) => {
  receiver.reply = reply;
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_BSP_SCHEDULE_DELAY: '10',
    OTEL_BSP_MAX_QUEUE_SIZE: '8',
    OTEL_BSP_EXPORT_TIMEOUT: '300',
  };
  worker = await startWorker({ env });
  for (let index = 0; index < 10; index += 1) expect((await run(`job-${index}`)).at(-1)?.data.type).toBe('end');
  await expect.poll(dropped).toBeGreaterThan(8);
  const line = await worker.line('traces.spans_dropped');
  expect(line).toMatchObject({ level: 'WARN', url: `${receiver.url}/v1/traces`, spans_dropped: expect.any(Number) });
  expect(worker.lines.filter(({ event }) => event === 'traces.spans_dropped')).toHaveLength(1);
});

test('while the receiver hangs, the worker answers its requests and ends in time; the spans are counted', async () => {
  receiver.reply = 'hang';
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_BSP_SCHEDULE_DELAY: '10' };
  worker = await startWorker({ env, args: ['--shutdown-timeout', '20'] });
  await run('first');
  await receiver.until(() => receiver.requests.length > 0);
  await run('second');
  expect(await worker.stop()).toBe(0);
  const reports = worker.lines.filter(({ event }) => event === 'traces.spans_dropped');
  expect(reports.at(-1)?.['reason']).toBe('the worker ends');
  expect(reports.reduce((sum, line) => sum + Number(line['spans_dropped']), 0)).toBe(8);
});

test('a drain exports the spans of the last requests', async () => {
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_BSP_SCHEDULE_DELAY: '600000' };
  worker = await startWorker({ env });
  await run('before');
  const stream = await Listener.open(worker, longJob('last'));
  await stream.untilToken();
  const exit = worker.stop();
  await stream.ended;
  expect(await exit).toBe(0);
  const servers = receiver.spans.filter(({ kind }) => kind === 2);
  expect(servers.map(({ attributes }) => attributes['rbees.job_id'])).toEqual(['before', 'last']);
  expect(servers.at(-1)?.events.map(({ name }) => name)).toContain('request.draining');
});

test('wrong variables are reported, and the worker serves', async () => {
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' };
  worker = await startWorker({ env });
  expect((await run('job')).at(-1)?.data.type).toBe('end');
  const line = await worker.line('traces.setting_unusable');
  expect(line).toMatchObject({ level: 'WARN', setting: 'OTEL_EXPORTER_OTLP_PROTOCOL' });
  expect(line.human).toMatch(/"grpc" is not supported; allowed: http\/json/);
  expect(worker.lines.map(({ event }) => event)).not.toContain('traces.started');
  expect(await (await worker.get('/metrics')).text()).not.toContain('worker_trace_spans');
});

test('every hostile value is named in the log, never a secret; the worker serves and exports with the defaults', async () => {
  const hostile = {
    OTEL_SDK_DISABLED: '1',
    OTEL_TRACES_EXPORTER: 'otlp,foo',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
    OTEL_EXPORTER_OTLP_HEADERS: 'x-key=private-key\r\nx-evil: 1',
    OTEL_EXPORTER_OTLP_TIMEOUT: '1e9',
    OTEL_EXPORTER_OTLP_COMPRESSION: 'br',
    OTEL_EXPORTER_OTLP_CERTIFICATE: '/ca.pem',
    OTEL_TRACES_SAMPLER: 'xray',
    OTEL_TRACES_SAMPLER_ARG: '\u001b[31m',
    OTEL_BSP_MAX_QUEUE_SIZE: '9'.repeat(100_000),
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '0',
    OTEL_BSP_EXPORT_TIMEOUT: '-1',
    OTEL_SPAN_EVENT_COUNT_LIMIT: '0x10',
    OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: 'Infinity',
    OTEL_RESOURCE_ATTRIBUTES: 'a=%zz',
  };
  const env = { ...hostile, OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_BSP_SCHEDULE_DELAY: '0' };
  worker = await startWorker({ env });
  await worker.line('traces.started');
  const told = worker.lines.filter(({ event }) => event === 'traces.setting_unusable');
  expect(told.map(({ setting }) => setting).sort()).toEqual(Object.keys(hostile).sort());
  for (const { human, level } of told) expect([level, human.length < 400]).toEqual(['WARN', true]);
  expect(worker.stdout).not.toContain('private-key');
  expect(worker.foreign).toEqual([]);
  expect((await run('job')).at(-1)?.data.type).toBe('end');
  await receiver.trace(({ attributes }) => attributes['rbees.job_id'] === 'job');
  expect(receiver.requests[0]?.headers).not.toHaveProperty('x-key');
});

test('the code of traces is loaded only if they are on', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'loaded-'));
  const script = join(folder, 'spy.cjs');
  writeFileSync(
    script,
    `const fs = require('node:fs');
     const read = fs.readFileSync;
     fs.readFileSync = (path, ...rest) => {
       if (/bundle.*\\btrac/.test(String(path))) console.error('loaded ' + path);
       return read(path, ...rest);
     };
     require('node:module').syncBuiltinESMExports();`,
  );
  try {
    for (const [endpoint, isLoaded] of [
      ['', false],
      [receiver.url, true],
    ] as const) {
      const env = { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, NODE_OPTIONS: `--require=${script}` };
      worker = await startWorker({ env });
      await run('job');
      await worker.stop();
      expect(worker.stderr.includes('loaded ')).toBe(isLoaded);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
