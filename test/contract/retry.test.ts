/** Every error says where the same request can succeed, the same way in each form of an error. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { describe, expect, test } from 'vitest';
import {
  ERRORS,
  type ErrorCode,
  isRetriable,
  RETRIES,
  type Retry,
  STREAM_ERROR_CODES,
  WorkerError,
} from '../../src/contract/errors.ts';
import { ROUTES } from '../../src/contract/routes.ts';
import { errorBody, executeErrors } from '../../src/http/native/errors.ts';
import { announceHandler } from '../../src/http/operator/announce.ts';
import { shutdownHandler } from '../../src/http/operator/shutdown.ts';
import { WorkerState } from '../../src/lifecycle/state.ts';
import { DOCUMENT, operations } from './document.ts';

const CODES = Object.keys(ERRORS) as ErrorCode[];
const rowOf = (code: ErrorCode): { status: number; retry: Retry } => ERRORS[code];
type Body = { readonly error: { readonly retry: Retry; readonly retriable: boolean } };

describe.each(CODES)('%s', (code) => {
  test('has one of the three values, and agrees with the field of version 1', () => {
    const { retry } = rowOf(code);
    expect(RETRIES).toContain(retry);
    const error = new WorkerError(code);
    expect([error.retry, error.retriable]).toEqual([retry, retry !== 'never']);
    expect((errorBody(error, 'req-1') as Body).error).toMatchObject({ code, retry, retriable: retry !== 'never' });
  });

  test.each(RETRIES)('can be overridden by %s, and the field of version 1 follows', (retry) => {
    const { error } = errorBody(new WorkerError(code, undefined, { retry }), 'req-1') as Body;
    expect([error.retry, error.retriable]).toEqual([retry, isRetriable(retry)]);
  });

  test('names its value in openapi.yaml, wherever it is listed', () => {
    const listed = operations().flatMap(({ operation }) =>
      Object.values(operation.responses).flatMap(({ description }) => description.split('\n')),
    );
    const lines = listed.filter((line) => line.startsWith(`- \`${code}\``));
    expect(lines.filter((line) => !line.endsWith(`\`retry\`: \`${rowOf(code).retry}\`.`))).toEqual([]);
  });
});

test('an error about the request itself is never worth a retry, and every other one is', () => {
  const never = CODES.filter((code) => rowOf(code).retry === 'never');
  expect(never.filter((code) => rowOf(code).status >= 500)).toEqual([]);
  const waits = CODES.filter((code) => !never.includes(code) && rowOf(code).status < 500);
  expect(waits).toEqual(['DUPLICATE_JOB', 'TOO_MANY_READERS', 'SLOW_CONSUMER']);
});

test('an error of the engine, of the drain or of a defect leads to another worker', () => {
  const engine = ['INTERNAL', 'WORKER_UNHEALTHY', 'DRAINING', 'VRAM_OOM', 'INFERENCE_FAILED', 'ENGINE_LOST'];
  expect(engine.map((code) => rowOf(code as ErrorCode).retry)).toEqual(engine.map(() => 'elsewhere'));
});

test('an error about a job of this worker does not lead to another worker, which does not know the job', () => {
  const own = new Set<ErrorCode>([...ROUTES.jobEvents.errors, ...ROUTES.cancel.errors, 'DUPLICATE_JOB']);
  own.delete('INTERNAL'); // A defect, of any route.
  expect([...own].filter((code) => rowOf(code).retry === 'elsewhere')).toEqual([]);
});

test('the schemas of both forms require retry and retriable, with the three values', () => {
  const { ErrorAnswer, ErrorEvent } = DOCUMENT.components.schemas as Record<string, Record<string, never>>;
  type Form = { required: string[]; properties: Record<string, { enum?: string[]; description?: string }> };
  const forms = [ErrorAnswer?.['properties']?.['error'] as unknown as Form, ErrorEvent as unknown as Form];
  for (const { required, properties } of forms) {
    expect(required).toEqual(expect.arrayContaining(['retry', 'retriable']));
    expect(properties['retry']?.enum).toEqual([...RETRIES]);
    for (const value of RETRIES) expect(properties['retry']?.description).toContain(`\`${value}\``);
  }
});

test('the SSE form of a refused request has both fields', () => {
  const sent: string[] = [];
  const reply = {
    code: () => reply,
    headers: () => reply,
    send: (text: string) => {
      sent.push(text);
      return reply;
    },
  } as unknown as FastifyReply;
  const request = { id: 'req-1', headers: { accept: 'text/event-stream' }, body: {} } as unknown as FastifyRequest;
  const violations = [{ field: 'prompt', constraint: 'required', message: 'prompt is required' }];
  executeErrors('full')(new WorkerError('INVALID_REQUEST', undefined, { violations }), request, reply);
  expect(sent[0]).toMatch(/event: error\ndata: \{.*"retriable":false,"retry":"never"/);
});

test.each([
  ['a second shutdown', (state: WorkerState) => shutdownHandler(state, 30, () => undefined)],
  ['an announcement', (state: WorkerState) => announceHandler(state, () => new Error('not announced') as never)],
])('%s is never repeated elsewhere, where it would reach another worker', (_, handlerOf) => {
  const state = new WorkerState();
  const handle = handlerOf(state);
  state.enter('draining');
  const call = (): unknown => handle({} as FastifyRequest, {} as FastifyReply);
  expect(call).toThrow(expect.objectContaining({ code: 'DRAINING', retry: 'never', retriable: false }));
});

test('every code of a stream is in the table', () => {
  expect(STREAM_ERROR_CODES.filter((code) => !CODES.includes(code))).toEqual([]);
});
