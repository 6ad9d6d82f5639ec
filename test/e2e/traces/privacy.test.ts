/** No text of a caller and no output is in the exported bytes. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SpanReceiver } from '../../support/span-receiver.ts';
import { startWorker, type TestWorker, textOf } from '../../support/worker.ts';

let receiver: SpanReceiver;
let worker: TestWorker;
beforeAll(async () => {
  receiver = await SpanReceiver.open();
  worker = await startWorker({
    args: ['--api-token', 'private-api-token'],
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-api-key=private-receiver-key',
      OTEL_BSP_SCHEDULE_DELAY: '20',
    },
  });
});
afterAll(async () => {
  await worker.kill();
  await receiver.close();
});

/** Each text of a request has this mark, in another form for each place. */
const MARK = 'Zebra';
const marked = (place: string): string => `${MARK}${place}`;
const SCHEMA = {
  type: 'object',
  description: marked('Description'),
  properties: { [marked('Property')]: { type: 'string', format: marked('Format'), enum: [marked('Enum')] } },
  required: [marked('Property')],
};
const TOOL = { name: marked('Tool'), description: marked('ToolText'), parameters: SCHEMA };
const CHAT = {
  model: 'haiku',
  messages: [
    { role: 'system', content: marked('System') },
    { role: 'user', content: marked('User') },
  ],
  max_tokens: 20,
  stop: [marked('Stop')],
  user: marked('UserField'),
};
const strange = { [marked('UnknownField')]: marked('UnknownValue') };

const BODIES: readonly (readonly [path: string, body: object, status: number])[] = [
  ['/execute', { job_id: 'a', prompt: marked('Prompt'), max_tokens: 20, stop: [marked('Stop')] }, 200],
  ['/execute', { job_id: 'b', prompt: marked('Prompt'), max_tokens: 20, ...strange }, 200],
  ['/execute', { job_id: 'c', prompt: marked('Long').repeat(400) }, 413],
  ['/execute', { job_id: 'd', prompt: 'x', template: marked('Template') }, 0],
  ['/execute', { job_id: 'e', prompt: 'x', max_tokens: marked('Number') }, 400],
  ['/v1/chat/completions', { ...CHAT, ...strange }, 200],
  ['/v1/chat/completions', { ...CHAT, model: marked('Model') }, 0],
  ['/v1/chat/completions', { ...CHAT, tools: [{ type: 'function', function: TOOL }] }, 0],
  [
    '/v1/chat/completions',
    { ...CHAT, response_format: { type: 'json_schema', json_schema: { name: 'n', schema: SCHEMA } } },
    200,
  ],
  ['/v1/chat/completions', { ...CHAT, response_format: { type: marked('Type') } }, 400],
  [
    '/v1/chat/completions',
    {
      ...CHAT,
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'n', schema: { [marked('Keyword')]: 1, type: marked('Type') } },
      },
    },
    0,
  ],
  ['/v1/completions', { model: 'haiku', prompt: marked('Prompt'), max_tokens: 20, echo: true }, 200],
  [
    '/v1/responses',
    { model: 'haiku', input: marked('Input'), instructions: marked('Instructions'), max_output_tokens: 20 },
    200,
  ],
  [
    '/v1/messages',
    {
      model: 'haiku',
      system: marked('System'),
      messages: CHAT.messages.slice(1),
      max_tokens: 20,
      metadata: { user_id: marked('UserField') },
    },
    200,
  ],
];

test('neither prompts, tools, schemas, stop strings, names and users, nor outputs and secrets', async () => {
  const headers = { Authorization: 'Bearer private-api-token', 'User-Agent': marked('Agent') };
  const statuses: number[] = [];
  for (const [index, [path, body]] of BODIES.entries()) {
    const response = await worker.post(path, body, { ...headers, 'X-Correlation-Id': `private-${index}` });
    statuses.push(response.status);
    await response.text();
  }
  for (const [index, [, , status]] of BODIES.entries()) {
    if (status > 0) expect([index, statuses[index]]).toEqual([index, status]);
    await receiver.trace(({ attributes }) => attributes['rbees.correlation_id'] === `private-${index}`);
  }
  const seed = { seed: 42, max_tokens: 30 };
  const output = textOf(await worker.execute({ job_id: 'output', prompt: 'The sea', ...seed }, headers));
  await receiver.trace(({ attributes }) => attributes['rbees.job_id'] === 'output');
  const words = output.match(/[A-Za-z]{5,}/g) ?? [];
  expect(words.length).toBeGreaterThan(2);
  const bytes = receiver.texts.join('\n');
  // The bytes have all that was done, so the absence of a text means something.
  for (const name of ['request.invalid', 'fields.ignored', 'inference.complete', 'grammar.compiled'])
    expect(bytes).toContain(`"name":"${name}"`);
  expect(bytes).not.toContain(MARK);
  expect(bytes).not.toContain('private-api-token');
  expect(bytes).not.toContain('private-receiver-key');
  for (const word of words) expect(bytes).not.toContain(word);
});

test('an id of a job with a token, a key or the key of the receiver is exported without them', async () => {
  const headers = { Authorization: 'Bearer private-api-token' };
  const secrets = ['private-api-token', 'private-receiver-key', 'api_key=sk-abcdefgh12345', 'Bearer abcdefghij'];
  for (const [index, secret] of secrets.entries()) {
    const correlation = { 'X-Correlation-Id': `secret-${index}` };
    await worker.execute({ job_id: `x ${secret} y`, prompt: 'x', max_tokens: 2 }, { ...headers, ...correlation });
    const spans = await receiver.trace(({ attributes }) => attributes['rbees.correlation_id'] === `secret-${index}`);
    expect(JSON.stringify(spans)).toContain('REDACTED');
  }
  const bytes = receiver.texts.join('\n');
  for (const secret of ['private-api-token', 'private-receiver-key', 'sk-abcdefgh12345', 'abcdefghij'])
    expect(bytes).not.toContain(secret);
});

test('the key of the receiver is neither in the log nor in the environment of the process', async () => {
  expect(worker.stdout).not.toContain('private-receiver-key');
  expect(receiver.requests[0]?.headers['x-api-key']).toBe('private-receiver-key');
  if (process.platform !== 'linux') return;
  const { readFileSync } = await import('node:fs');
  expect(readFileSync(`/proc/${worker.process.pid}/environ`, 'utf8')).not.toContain('private-receiver-key');
});
