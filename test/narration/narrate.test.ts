/** narrate(): its two sinks, its request context and its lines on stdout. */
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import {
  capture,
  linesLost,
  type Narration,
  narrate,
  type RequestContext,
  runIn,
  startNarration,
} from '../../src/narration/narrate.ts';
import { type Line, openStdout } from '../../src/narration/stdout.ts';
import { MemoryStream } from './memory-stream.ts';

const silent = { write: () => undefined, takeLost: () => 0, lostInAll: 0, flush: () => Promise.resolve() };
afterEach(() => startNarration({ workerId: 'w-1', version: '9.9.9', stdout: silent, count: () => undefined }));

function contextOf(id: string, heard: Narration[]): RequestContext {
  return { correlationId: `req-${id}`, jobId: `job-${id}`, onNarration: (narration) => heard.push(narration) };
}

describe('one narrate(), two sinks', () => {
  test('a request event goes to stdout and to the stream of its request, with equal fields', async () => {
    const heard: Narration[] = [];
    const written: Line[] = [];
    startNarration({
      workerId: 'w-1',
      version: '9.9.9',
      stdout: { ...silent, write: (line) => written.push(line) },
      count: () => undefined,
    });
    runIn(contextOf('a', heard), () => narrate('request.validated', { requests_running: 1 }));
    expect(heard).toHaveLength(1);
    expect(written).toEqual(heard);
    expect(heard[0]).toMatchObject({
      event: 'request.validated',
      correlation_id: 'req-a',
      job_id: 'job-a',
      worker_id: 'w-1',
      emitted_by: 'rbees-workerd@9.9.9',
    });
  });

  test('a lifecycle event inside a request goes to stdout only', async () => {
    const heard: Narration[] = [];
    const { narrations } = await capture(() =>
      runIn(contextOf('a', heard), () => narrate('server.shutdown', { reason: 'sigterm' })),
    );
    expect(narrations).toHaveLength(1);
    expect(heard).toEqual([]);
  });

  test('an event outside of a request has no correlation id and no job id', async () => {
    const { narrations } = await capture(() => narrate('server.start', { address: '127.0.0.1:1' }));
    expect(narrations[0]).not.toHaveProperty('correlation_id');
    expect(narrations[0]).not.toHaveProperty('job_id');
  });

  test('no line of either format holds a control sequence of a fact or a job id', async () => {
    const evil = '\u001b]0;pwned\u0007\u001b[2J\u009b31m\u202e\u{e0061}\ufe0f';
    const stream = new MemoryStream();
    const streams = (['json', 'pretty'] as const).map((format) =>
      openStdout({ level: 'info', format }, stream as unknown as NodeJS.WritableStream),
    );
    for (const stdout of streams) {
      startNarration({ workerId: 'w-1', version: '9.9.9', stdout, count: () => undefined });
      runIn({ correlationId: 'req-a', jobId: evil }, () => narrate('request.requeued', { reason: evil }));
      await stdout.flush();
    }
    expect(stream.lines).toHaveLength(2);
    for (const line of stream.lines) {
      expect(line).toContain('pwned[2J31m');
      expect(line).not.toMatch(/[\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}]|\\u00/u);
    }
  });

  test('an event carries the trace of the caller', async () => {
    const traced = { ...contextOf('a', []), traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7' };
    const { narrations } = await capture(() =>
      runIn(traced, () => narrate('request.queued', { queue_position: 2, eta_ms: 90 })),
    );
    expect(narrations[0]).toMatchObject({ trace_id: traced.traceId, span_id: traced.spanId, queue_position: 2 });
  });

  test('secrets and line breaks reach neither sink', async () => {
    const heard: Narration[] = [];
    const reason = 'bad token=hunter2\nINFO forged';
    await capture(() =>
      runIn({ ...contextOf('a', heard), jobId: 'job\n1' }, () =>
        narrate('inference.failed', { error_kind: 'x', reason, tokens_out: 0 }),
      ),
    );
    const text = Object.values(heard[0] ?? {}).join('|');
    expect(text).not.toMatch(/hunter2|\n/);
    expect(heard[0]?.job_id).toBe('job 1');
  });

  test('a large seed keeps all digits, a duration is rounded to microseconds', async () => {
    const { narrations } = await capture(() => {
      narrate('inference.start', { max_tokens: 1, temperature: 0.7, seed: Number.MAX_SAFE_INTEGER });
      narrate('prompt.tokenized', { tokens_in: 1, duration_ms: 1.23456789 });
    });
    expect(narrations[0]).toMatchObject({ seed: Number.MAX_SAFE_INTEGER });
    expect(narrations[1]).toMatchObject({ duration_ms: 1.235 });
  });

  test('interleaved requests never receive the events of another request', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 5 }), { minLength: 2, maxLength: 12 }),
        async (requests) => {
          const heard = requests.map((): Narration[] => []);
          await Promise.all(
            requests.map((pauses, index) =>
              runIn(contextOf(String(index), heard[index] ?? []), async () => {
                for (const [step, pause] of pauses.entries()) {
                  await sleep(pause);
                  narrate('request.queued', { queue_position: step, eta_ms: 90 });
                }
              }),
            ),
          );
          for (const [index, narrations] of heard.entries()) {
            expect(narrations.map((one) => one['queue_position'])).toEqual(requests[index]?.map((_, step) => step));
            expect(new Set(narrations.map((one) => one.correlation_id)).size).toBeLessThanOrEqual(1);
            for (const one of narrations) expect(one.correlation_id).toBe(`req-${index}`);
          }
        },
      ),
      { numRuns: 30 },
    );
  });
});

describe('a capture', () => {
  test('collects the events of its own work, also inside requests and after waits, and no others', async () => {
    const outside = sleep(5).then(() => narrate('server.start', { address: 'outside' }));
    const { narrations } = await capture(async () => {
      narrate('server.start', { address: 'a' });
      await runIn(contextOf('a', []), async () => {
        await sleep(10);
        narrate('queue.moved', { queue_position: 1, eta_ms: 90 });
      });
    });
    await outside;
    expect(narrations.map((one) => one.event)).toEqual(['server.start', 'queue.moved']);
  });
});

describe('the lines on stdout', () => {
  const openOn = (stream: MemoryStream, level: 'info' | 'warn' = 'info', format: 'json' | 'pretty' = 'json') => {
    const stdout = openStdout({ level, format }, stream);
    startNarration({ workerId: 'w-1', version: '9.9.9', stdout, count: () => undefined });
    return stdout;
  };

  test('have the keys of the contract in the order of the contract', () => {
    const stream = new MemoryStream();
    openOn(stream);
    runIn(contextOf('a', []), () => narrate('inference.start', { max_tokens: 5, temperature: 1, seed: 3 }));
    const [line = ''] = stream.lines;
    expect(Object.keys(JSON.parse(line))).toEqual([
      ...[
        'timestamp',
        'level',
        'event',
        'actor',
        'action',
        'target',
        'human',
        'cute',
        'story',
        'correlation_id',
        'worker_id',
        'job_id',
      ],
      ...['max_tokens', 'temperature', 'seed', 'emitted_by'],
    ]);
    expect(JSON.parse(line).timestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  test('below the log level are not written', () => {
    const stream = new MemoryStream();
    openOn(stream, 'warn');
    narrate('server.start', { address: 'a' });
    narrate('stdout.lines_lost', { lines_lost: 1 });
    expect(stream.lines.map((line) => JSON.parse(line).event)).toEqual(['stdout.lines_lost']);
  });

  test('have a pretty format for people', () => {
    const stream = new MemoryStream();
    openOn(stream, 'info', 'pretty');
    narrate('server.start', { address: '127.0.0.1:1' });
    expect(stream.lines[0]).toMatch(
      /^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\] INFO w-1: HTTP server starts on 127\.0\.0\.1:1$/,
    );
  });

  test('without a reader use bounded memory, and the lost ones are counted when reading continues', () => {
    const stream = new MemoryStream();
    openOn(stream);
    stream.hold();
    const facts = {
      error_kind: 'engine_lost',
      reason: 'exit code 1',
      requests_running: 0,
      stderr_tail: 'a'.repeat(8000),
    };
    const narrateOne = (): void => narrate('engine.lost', facts);
    for (let lines = 0; lines < 2500; lines += 1) narrateOne();
    stream.release();
    narrateOne();
    const lines = stream.lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    const lost = lines.filter((line) => line['event'] === 'stdout.lines_lost');
    expect(lost).toHaveLength(1);
    expect(lines.indexOf(lost[0] ?? {})).toBe(lines.length - 2);
    // Every line is written or counted as lost, and the queue holds at most 16 MiB.
    expect(lines.length - 1 + Number(lost[0]?.['lines_lost'])).toBe(2501);
    expect(linesLost()).toBe(lost[0]?.['lines_lost']);
    const held = stream.lines.slice(0, -2).reduce((sum, line) => sum + line.length + 1, 0);
    expect(held).toBeLessThanOrEqual(16 * 1024 * 1024);
    expect(held).toBeGreaterThan(15 * 1024 * 1024);
  });

  test('are dropped without an error after the reader has closed the pipe', async () => {
    const stream = new MemoryStream();
    const stdout = openOn(stream);
    stream.emit('error', Object.assign(new Error('broken pipe'), { code: 'EPIPE' }));
    narrate('server.start', { address: 'a' });
    expect(stream.lines).toEqual([]);
    await stdout.flush();
  });
});
