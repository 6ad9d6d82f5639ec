/** The spans of one request, without a worker. */
import { expect, test } from 'vitest';
import { MAX_TRACED_OUTPUTS, RequestTrace } from '../../../src/telemetry/traces/request-trace.ts';
import type { FinishedSpan } from '../../../src/telemetry/traces/span.ts';

const JOB = { operation: 'chat', jobId: 'j', runId: 'r', choices: 1, prompts: 1, outputType: 'text' } as const;
const END = { outcome: 'success', tokensIn: 1, tokensOut: 2, reasoningTokens: 0, finishes: [] } as const;

function open(): { trace: RequestTrace; spans: FinishedSpan[] } {
  const spans: FinishedSpan[] = [];
  const trace = new RequestTrace({
    context: { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), traceFlags: 1 },
    parent: undefined,
    operation: 'text_completion',
    model: () => 'haiku',
    limits: { attributes: 128, events: 128, eventAttributes: 128, valueChars: 1000 },
    emit: (span) => spans.push(span),
  });
  return { trace, spans };
}

test('a span ends with the later one of its answer and its job', () => {
  for (const order of ['answer', 'job'] as const) {
    const { trace, spans } = open();
    trace.accepted(JOB);
    const parts = [() => trace.answered(200), () => trace.released()];
    if (order === 'job') parts.reverse();
    trace.finished(END);
    parts[0]?.();
    expect(spans).toEqual([]);
    parts[1]?.();
    expect(spans).toMatchObject([{ name: 'chat haiku', attributes: { 'rbees.outcome': 'success' } }]);
    trace.narrated('later', {});
    trace.answered(200);
    expect(spans).toHaveLength(1);
  }
});

test('a request without an answer, a job or an error was abandoned', () => {
  const { trace, spans } = open();
  trace.answered(undefined);
  expect(spans).toMatchObject([{ name: 'text_completion haiku', attributes: { 'rbees.outcome': 'abandoned' } }]);
});

test('only the first outputs have spans of their own', () => {
  const { trace, spans } = open();
  trace.accepted(JOB);
  const outputs = Array.from({ length: MAX_TRACED_OUTPUTS + 3 }, (_, index) => trace.output(index));
  for (const output of outputs) output?.ended(0);
  trace.released();
  trace.answered(200);
  expect(spans.filter(({ name }) => name === 'queue')).toHaveLength(MAX_TRACED_OUTPUTS);
  expect(spans.at(-1)?.attributes).toMatchObject({ 'rbees.outputs_without_spans': 3 });
});
