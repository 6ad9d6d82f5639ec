/** The generated model whose output is scripted (test/support/scripted-model): the worker loads it and serves its scripts. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ChatTemplate } from '../../../src/text/template/chat-template.ts';
import { reasoned, scriptedModel, toolCall } from '../../support/scripted-model/model.ts';
import { startWorker, type TestWorker, textOf } from '../../support/worker.ts';

const CALLS = `${toolCall('get_weather', { city: 'Łódź' })}\n${toolCall('get_time', { zone: 'CET' })}`;
const SCRIPTS = {
  plain: reasoned('Plain.', 'Just words, zażółć 🐝.'),
  withTools: reasoned('A tool.', CALLS),
  afterTool: 'It is 7 °C.',
};

const root = mkdtempSync(join(tmpdir(), 'scripted-'));
let folder: string;
let worker: TestWorker;
beforeAll(async () => {
  folder = await scriptedModel(join(root, 'scripted'), SCRIPTS);
  worker = await startWorker({ args: ['--model', folder] });
});
afterAll(async () => {
  await worker.stop();
  rmSync(root, { recursive: true });
});

/** The output for a raw prompt, with the sampling that clients set by default. */
async function answer(prompt: string): Promise<string> {
  const events = await worker.execute({
    job_id: randomUUID(),
    raw: true,
    prompt,
    max_tokens: 2000,
    temperature: 1,
    top_p: 1,
  });
  expect(events.at(-1)?.data).toMatchObject({ type: 'end' });
  return textOf(events);
}

/** The prompt that the model's template makes. */
async function rendered(conversation: Parameters<ChatTemplate['render']>[0]): Promise<string> {
  const file = 'chat_template.jinja';
  const text = await readFile(join(folder, file), 'utf8');
  return new ChatTemplate({ name: 'default', file, text, tokens: {} }).render(conversation);
}

const question = { role: 'user', content: 'How warm is it?' };
const tools = [{ name: 'get_weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } }];
const call = {
  role: 'assistant',
  content: '',
  toolCalls: [{ id: 'abcdefgh1', name: 'get_weather', arguments: '{"city":"Łódź"}' }],
};
const result = { role: 'tool', content: '7', toolCallId: 'abcdefgh1' };

test('messages get the plain script', async () => {
  const events = await worker.execute({ job_id: randomUUID(), messages: [question], max_tokens: 2000 });
  expect(textOf(events)).toBe(SCRIPTS.plain);
  expect(events.at(-1)?.data).toMatchObject({ stop_reason: 'eos' });
});

test('a conversation with tools gets the call, also after an earlier turn', async () => {
  const messages = [question];
  expect(await answer(await rendered({ messages, tools }))).toBe(SCRIPTS.withTools);
  const later = [...messages, call, result, { role: 'assistant', content: '7 °C' }, question];
  expect(await answer(await rendered({ messages: later, tools }))).toBe(SCRIPTS.withTools);
});

test('the results of tools get the last script', async () => {
  const messages = [question, call, result, result];
  expect(await answer(await rendered({ messages, tools }))).toBe(SCRIPTS.afterTool);
});

test('the beginning of an answer in the prompt is continued', async () => {
  const answerStart = '<tool_call>\n{"name": "get_weather"';
  for (const variables of [{}, { enable_thinking: false }]) {
    const prompt = await rendered({ messages: [question], tools, variables, answerStart });
    expect(answerStart + (await answer(prompt))).toBe(CALLS);
  }
});

test('a request without thinking gets the script behind its reasoning', async () => {
  const prompt = await rendered({ messages: [question], variables: { enable_thinking: false } });
  expect(await answer(prompt)).toBe('Just words, zażółć 🐝.');
});

test('a prompt of 60 000 bytes is answered', async () => {
  const events = await worker.execute({
    job_id: randomUUID(),
    messages: [{ ...question, content: 'word '.repeat(12_000) }],
    max_tokens: 2000,
  });
  expect(textOf(events)).toBe(SCRIPTS.plain);
});

test('a template that opens the reasoning', async () => {
  const other = await scriptedModel(join(root, 'opened'), { ...SCRIPTS, opensReasoning: true });
  const opened = await startWorker({ args: ['--model', other] });
  const events = await opened.execute({ job_id: randomUUID(), messages: [question], max_tokens: 2000 });
  expect(textOf(events)).toBe(SCRIPTS.plain.slice('<think>\n'.length));
  await opened.stop();
});
