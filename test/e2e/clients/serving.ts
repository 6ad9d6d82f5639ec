/**
 * The workers that the clients call, one of each kind for a vitest process:
 *
 * - `scripted`: answers with reasoning, and with two calls if the request has tools; needs a token;
 * - `endless`: writes a long text in its only slot; needs a token;
 * - the embedded model without a token: `sharedWorker` of test/support.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { keep } from '../../support/processes.ts';
import { reasoned, type Scripts, scriptedModel, toolCall } from '../../support/scripted-model/model.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

export const TOKEN = 'token-of-the-clients';
/** The outputs of the scripted model. */
export const GREETING = 'Hello there! 🐝';
export const REASONING = 'The user says hello.';
export const SUMMARY = 'It is 7 °C in Łódź, and 9 °C in Oslo.';
/** The two calls of the scripted model. */
export const CALLS = [
  { name: 'get_weather', arguments: { city: 'Łódź', unit: 'celsius' } },
  { name: 'get_weather', arguments: { city: 'Oslo', unit: 'celsius' } },
] as const;
/** The results of the calls, by city. */
export const DEGREES: Readonly<Record<string, string>> = { Łódź: '7 °C', Oslo: '9 °C' };
export const PARAMETERS = {
  type: 'object' as const,
  properties: { city: { type: 'string' as const }, unit: { type: 'string' as const } },
  required: ['city'],
};
export const QUESTION = 'How warm is it in Łódź and in Oslo?';
export const CANCELLED = 'The job was cancelled.';
export const TIMED_OUT = 'The deadline has passed.';
/** Milliseconds until the end of a stream. It has begun long before, and would end much later. */
export const DEADLINE_MS = 4000;
export const UNAUTHORIZED = 'A valid bearer token is required.';
/** The ids of calls: nine letters or digits, which every chat template accepts. */
export const CALL_ID = /^[A-Za-z0-9]{9}$/;

let scriptedWorker: Promise<TestWorker> | undefined;
let endlessWorker: Promise<TestWorker> | undefined;

export function scripted(): Promise<TestWorker> {
  const withTools = reasoned('Two cities.', CALLS.map((call) => toolCall(call.name, call.arguments)).join('\n'));
  scriptedWorker ??= serve('scripted', { plain: reasoned(REASONING, GREETING), withTools, afterTool: SUMMARY });
  return scriptedWorker;
}

export function endless(): Promise<TestWorker> {
  endlessWorker ??= serve('endless', { plain: 'And so on. '.repeat(8000) }, ['--slots', '1']);
  return endlessWorker;
}

async function serve(name: string, scripts: Scripts, args: readonly string[] = []): Promise<TestWorker> {
  const root = mkdtempSync(join(tmpdir(), 'clients-'));
  const model = await scriptedModel(join(root, name), scripts);
  const worker = await startWorker({ args: ['--model', model, ...args], env: { RBEES_API_TOKEN: TOKEN } });
  keep(worker.process);
  // The worker opens some files of the model when it first needs them.
  process.once('exit', () => rmSync(root, { recursive: true, force: true }));
  return worker;
}

/** Waits until no slot is busy and nothing waits. */
export function freeSlot(worker: TestWorker): Promise<void> {
  return expect
    .poll(async () => (await worker.get('/health', { Authorization: `Bearer ${TOKEN}` })).json())
    .toMatchObject({ slots: { busy: 0 }, queue: { length: 0 } });
}

/** The id of the job that a request started, from the log. */
export async function jobOf(worker: TestWorker, correlationId: unknown): Promise<unknown> {
  const line = await worker.line('request.validated', (one) => one['correlation_id'] === correlationId);
  return line['job_id'];
}

/** Cancels a job, as an operator does. */
export async function cancel(worker: TestWorker, job: string): Promise<void> {
  const response = await worker.post('/cancel', { job_id: job }, { Authorization: `Bearer ${TOKEN}` });
  expect(response.status).toBe(202);
}

/** Waits until the log has the client of a job as gone. */
export const readerLeft = (worker: TestWorker, job: unknown): Promise<unknown> =>
  worker.line('reader.left', (line) => line['job_id'] === job);

/** Reads a stream to its end. */
export async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}
