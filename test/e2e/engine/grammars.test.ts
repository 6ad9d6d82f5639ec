/** Forms of the output on a real worker: the narration of their grammars, their errors, metrics. */
import { beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { sharedWorker } from '../../support/shared-worker.ts';
import { all, eventsOf, type StreamEvent, type TestWorker, textOf } from '../../support/worker.ts';

let worker: TestWorker;
beforeAll(async () => {
  worker = await sharedWorker();
});

let jobs = 0;
const post = (body: object): Promise<Response> => {
  jobs += 1;
  const headers = { 'Content-Type': 'application/json' };
  const complete = { job_id: `grammar-${process.pid}-${jobs}`, prompt: 'The sea', seed: 1, ...body };
  return fetch(`${worker.url}/execute`, { method: 'POST', headers, body: JSON.stringify(complete) });
};
async function run(body: object): Promise<StreamEvent[]> {
  const events: StreamEvent[] = [];
  for await (const event of eventsOf(await post(body))) events.push(event);
  return events;
}
/** The narrations of an event in a stream. */
const told = (events: readonly StreamEvent[], event: string): Record<string, unknown>[] =>
  all(events, 'narration').filter((one) => one['event'] === event);

const person = {
  type: 'object',
  properties: { name: { type: 'string', maxLength: 5, format: 'nickname' }, old: { type: 'boolean' } },
  required: ['name', 'old'],
  additionalProperties: false,
};

describe('the narration of a grammar', () => {
  test('reports its states, its time, the keywords without an effect, and the tokens that it forced', async () => {
    const events = await run({ schema: { ...person, title: String(process.hrtime.bigint()) }, max_tokens: 64 });
    expect(JSON.parse(textOf(events))).toMatchObject({ name: expect.any(String), old: expect.any(Boolean) });
    const [compiled] = told(events, 'grammar.compiled');
    expect(compiled).toMatchObject({ cached_grammar: 'no', without_effect: 'properties.name.format' });
    expect([Number(compiled?.['grammar_states']) > 1, Number(compiled?.['duration_ms']) >= 0]).toEqual([true, true]);
    const [explained] = told(events, 'time.explained');
    expect(Number(explained?.['tokens_forced'])).toBeGreaterThan(0);
    expect(explained?.['human']).toMatch(/grammar forced \d+ tokens$/);
    expect(told(events, 'grammar.incomplete')).toEqual([]);
  });

  test('reports that it was compiled for an earlier request', async () => {
    const choice = [`yes ${process.hrtime.bigint()}`, 'no'];
    const cached = [];
    for (let times = 0; times < 2; times += 1)
      cached.push(told(await run({ choice, max_tokens: 64 }), 'grammar.compiled')[0]?.['cached_grammar']);
    expect(cached).toEqual(['no', 'yes']);
  });

  test('is absent without a form', async () => {
    const events = await run({ max_tokens: 4 });
    expect([told(events, 'grammar.compiled'), told(events, 'time.explained')[0]?.['tokens_forced']]).toEqual([
      [],
      undefined,
    ]);
  });
});

test('an output that ends before its form is complete is narrated with the way out', async () => {
  const events = await run({ schema: person, max_tokens: 2 });
  expect(all(events, 'end')[0]).toMatchObject({ stop_reason: 'max_tokens' });
  const [incomplete] = told(events, 'grammar.incomplete');
  expect(incomplete).toMatchObject({ stop_reason: 'max_tokens', tokens_out: 2 });
  expect(incomplete?.['human']).toMatch(/^Raise max_tokens/);
});

test('an output that a stop string cuts is narrated in the stream and on stdout, with the same correlation id', async () => {
  const events = await run({ regex: '[ab]{30}', stop: ['a', 'b'], max_tokens: 40 });
  const [incomplete] = told(events, 'grammar.incomplete');
  expect(incomplete).toMatchObject({ stop_reason: 'stop_sequence' });
  expect(incomplete?.['human']).toMatch(/^Remove the stop string: the output does not have the demanded form after \d/);
  expect(incomplete?.['cute']).toContain('stop string');
  const correlation = all(events, 'started')[0]?.['correlation_id'];
  const onStdout = (event: string) =>
    worker.lines.filter((line) => line.event === event && line['correlation_id'] === correlation);
  await eventually(() => expect(onStdout('time.explained')).toHaveLength(1));
  expect(onStdout('grammar.incomplete')).toMatchObject([{ human: incomplete?.['human'] }]);
  expect(onStdout('grammar.compiled')).toHaveLength(1);
});

test.each([
  ['/v1/chat/completions', 'tools[0].function.parameters'],
  ['/v1/messages', 'tools[0].input_schema'],
])('%s: keywords of tools without an effect have their place in the body', async (path, place) => {
  const schema = { type: 'object', properties: { a: { type: 'string', maxLength: 4, format: 'nickname' } } };
  const name = `get_${process.hrtime.bigint()}`;
  const isChat = path !== '/v1/messages';
  const response = await worker.post(path, {
    ...{ messages: [{ role: 'user', content: 'The sea' }], max_tokens: 64 },
    tools: [isChat ? { type: 'function', function: { name, parameters: schema } } : { name, input_schema: schema }],
    tool_choice: isChat ? 'required' : { type: 'any' },
  });
  const { id } = (await response.json()) as { readonly id: string };
  const compiled = () => worker.lines.find((line) => line.event === 'grammar.compiled' && line['job_id'] === id);
  await eventually(() => expect(compiled()).toMatchObject({ without_effect: `${place}.properties.a.format` }));
});

test('a form that cannot be compiled is refused with its place', async () => {
  const answer = await post({ schema: { properties: { a: { type: 'strung' } } } });
  expect(answer.status).toBe(400);
  expect(await answer.json()).toMatchObject({
    error: { code: 'INVALID_REQUEST', errors: [{ field: 'schema.properties.a.type', constraint: 'invalid' }] },
  });
});

test('a form that is too complex is refused with the limits, while probes are answered', async () => {
  const refused = post({ regex: '(a|b)*a(a|b){40}' });
  expect((await fetch(`${worker.url}/health`)).status).toBe(200);
  const answer = await refused;
  expect(answer.status).toBe(400);
  expect(await answer.json()).toMatchObject({
    error: { code: 'SCHEMA_TOO_COMPLEX', retry: 'never', details: { field: 'regex', max_states: 50_000 } },
  });
});

test('metrics count grammars and forced tokens', async () => {
  await run({ choice: ['only this'], max_tokens: 32 });
  const text = await (await fetch(`${worker.url}/metrics`)).text();
  expect(text).toMatch(/^worker_grammars_total\{outcome="compiled"\} [1-9]/m);
  expect(text).toMatch(/^worker_tokens_forced_total [1-9]/m);
});
