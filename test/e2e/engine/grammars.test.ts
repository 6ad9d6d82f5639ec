/** Forms of the output on a real worker: the narration of their grammars, their errors, metrics. */
import { beforeAll, describe, expect, test } from 'vitest';
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
