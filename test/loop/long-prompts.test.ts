/** The longest prompts that a model with a long context accepts, through the whole server and past it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AUTO_PROMPT_CHARS } from '../../src/contract/execute.ts';
import type { LoadedModel } from '../../src/lifecycle/load-model.ts';
import { fakeModel } from '../support/fakes.ts';
import { CEILING_MS, turnMs } from './longest-turn.ts';
import { answerIn, filled, type LoopServer, postOf, startLoopServer } from './loop-server.ts';

const CONTEXT = 131_072;
const fake = fakeModel({ slots: 4, context: CONTEXT });
const tokenizer = { ...fake.tokenizer, encode: async () => [1, 2, 3] } as unknown as LoadedModel['tokenizer'];
const model: LoadedModel = { ...fake, tokenizer };
let server: LoopServer;
beforeAll(async () => {
  server = await startLoopServer({ model });
});
afterAll(() => server.app.close());

/** As much text as a body can have. */
const TEXTS: readonly (readonly [name: string, unit: string])[] = [
  ['lines', 'a line of code\\n'],
  ['quotes', '\\"'],
  ['escapes', '\\u0041'],
  ['escaped surrogates', '\\ud83d\\udc1d'],
  ['Cyrillic letters', 'я'],
  ['Chinese characters', '本'],
  ['emoji', '🐝'],
];

describe.each([
  ['a prompt', '{"job_id":"long","raw":true,"prompt":"', '"}'],
  ['stop strings beside it', '{"job_id":"long","raw":true,"stop":["x"],"prompt":"', '"}'],
])('%s', (_, head, tail) => {
  test.each(TEXTS)('of %s is accepted', async (_, unit) => {
    const request = postOf('/execute', filled(head, unit, tail));
    expect(answerIn(await server.send(request)).status).toBe(200);
    expect(await turnMs(() => server.send(request))).toBeLessThan(CEILING_MS);
  });
});

test('a prompt of the most characters is accepted', async () => {
  const prompt = 'the sea '.repeat(AUTO_PROMPT_CHARS.most / 8);
  const request = postOf('/execute', JSON.stringify({ job_id: 'long', prompt }));
  expect(answerIn(await server.send(request)).status).toBe(200);
  expect(await turnMs(() => server.send(request))).toBeLessThan(CEILING_MS);
});

test('a prompt of more characters is refused as fast', async () => {
  const request = postOf('/execute', filled('{"job_id":"long","prompt":"', 'x', '"}'));
  expect(answerIn(await server.send(request))).toMatchObject({
    status: 400,
    body: expect.stringContaining('--max-prompt-chars'),
  });
  expect(await turnMs(() => server.send(request))).toBeLessThan(CEILING_MS);
});
