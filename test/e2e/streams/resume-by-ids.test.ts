/** Outputs that are cut anywhere and continued by their ids on a second worker: both streams are one output. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectContinued, expectContinuedEverywhere, resumeAfter, toldBy } from '../../support/continuation.ts';
import { Listener, longJob } from '../../support/listener.ts';
import { reasoned, scriptedModel, toolCall } from '../../support/scripted-model/model.ts';
import { all, startWorker, type TestWorker } from '../../support/worker.ts';

/** Resumes at some hundred places. */
const CEILING_MS = 240_000;
const ARGUMENTS = { city: 'Łódź', words: 'zażółć 🐝' };
const SCRIPTS = {
  plain: reasoned('Plain, zażółć.', 'Just words 🐝.'),
  withTools: reasoned('A tool.', `${toolCall('get_weather', ARGUMENTS)}\n${toolCall('get_time', { zone: 'CET' })}`),
  afterTool: 'It is 7 °C.',
};

const root = mkdtempSync(join(tmpdir(), 'resume-by-ids-'));
let first: TestWorker;
let second: TestWorker;
let scripted: TestWorker;
let scriptedTwin: TestWorker;
beforeAll(async () => {
  const args = ['--model', await scriptedModel(join(root, 'scripted'), SCRIPTS)];
  [first, second, scripted, scriptedTwin] = (await Promise.all([{}, {}, { args }, { args }].map(startWorker))) as [
    TestWorker,
    TestWorker,
    TestWorker,
    TestWorker,
  ];
}, CEILING_MS);
afterAll(async () => {
  await Promise.all([first, second, scripted, scriptedTwin].map((worker) => worker.stop()));
  rmSync(root, { recursive: true });
});

const SEA = { prompt: 'The sea', max_tokens: 40, min_tokens: 40 };
const SEEDED = { temperature: 1, seed: 7 };
const SCHEMA = {
  type: 'object',
  properties: { name: { type: 'string', maxLength: 12 }, age: { type: 'integer', minimum: 0, maximum: 150 } },
  required: ['name', 'age'],
  additionalProperties: false,
};

const CASES: Readonly<Record<string, object>> = {
  greedy: { ...SEA, temperature: 0, seed: 1 },
  seeded: { ...SEA, ...SEEDED },
  'with penalties': { ...SEA, ...SEEDED, repetition_penalty: 1.3, frequency_penalty: 0.7, presence_penalty: 0.4 },
  'with a logit bias and top_k': { ...SEA, ...SEEDED, top_k: 20, logit_bias: { '17': 3 } },
  'that the model ends': { prompt: 'The sea', max_tokens: 400, ...SEEDED },
  'of a schema': { prompt: 'A person', max_tokens: 80, ...SEEDED, schema: SCHEMA },
  'of a regular expression': { prompt: 'A date', max_tokens: 40, ...SEEDED, regex: '[0-9]{4}-[0-9]{2}-[0-9]{2}' },
  'of a choice': { prompt: 'Yes or no?', max_tokens: 40, ...SEEDED, choice: ['certainly yes', 'certainly not'] },
};

describe('an output that is continued on another worker', { timeout: CEILING_MS }, () => {
  test.each(Object.entries(CASES))('is the undisturbed one, cut at every position: %s', async (_, body) => {
    await expectContinuedEverywhere(second, body, await toldBy(first, body));
  });

  test('keeps back what may be a stop string, and ends at one', async () => {
    const { tokens } = await toldBy(first, { ...SEA, ...SEEDED });
    const text = tokens.map(({ t }) => t).join('');
    // The first one is complete in the text. The others begin in it and never end.
    const stop = [text.slice(-8), `${text.slice(3, 14)}\u2603`, `${text.slice(20, 30)}\u2603`];
    const body = { ...SEA, ...SEEDED, stop };
    const whole = await toldBy(first, body);
    expect(whole.end).toMatchObject({ stop_reason: 'stop_sequence', stop_sequence_matched: stop[0] });
    await expectContinuedEverywhere(second, body, whole);
  });

  test('ends at once if its last id has completed a stop string', async () => {
    const free = await toldBy(first, { ...SEA, ...SEEDED });
    const text = free.tokens.map(({ t }) => t).join('');
    const body = { ...SEA, ...SEEDED, stop: [text.slice(10, 16)] };
    const whole = await toldBy(first, body);
    // The events tell no id of the stop string.
    const token_ids = free.ids.slice(0, Number(whole.end['tokens_out']));
    expect(token_ids.length).toBeGreaterThan(whole.ids.length);
    const resume = { ...resumeAfter(whole, whole.tokens.length), token_ids };
    const rest = await toldBy(second, { ...body, resume });
    expect(rest.tokens).toEqual([]);
    const { tokens_out, stop_sequence_matched } = whole.end;
    expect(rest.end).toMatchObject({ stop_reason: 'stop_sequence', stop_sequence_matched, tokens_out });
  });

  test('may end with text that was kept back', async () => {
    const { tokens } = await toldBy(first, { ...SEA, ...SEEDED });
    const text = tokens.map(({ t }) => t).join('');
    const body = { ...SEA, ...SEEDED, stop: [`${text.slice(-6)}\u2603`] };
    const whole = await toldBy(first, body);
    // The last piece comes with the end of the output, and not with an id.
    expect(whole.tokens.at(-1)?.['t']).toHaveLength(6);
    await expectContinuedEverywhere(second, body, whole);
  });

  test('has the log-probabilities of the rest', async () => {
    const body = { ...SEA, ...SEEDED, logprobs: 3 };
    const whole = await toldBy(first, body);
    for (const cut of [1, 9, 30]) {
      const { tokens } = await expectContinued(second, body, whole, resumeAfter(whole, cut));
      for (const [index, { id, logprob, top }] of tokens.entries()) {
        const expected = whole.tokens[cut + index] ?? {};
        expect(id).toBe(expected['id']);
        expect(logprob).toBeCloseTo(Number(expected['logprob']), 4);
        expect(top).toHaveLength(3);
      }
    }
  });

  const question = { role: 'user', content: 'How warm is it?' };
  const nameOnly = (name: string) => ({ type: 'function', function: { name, parameters: { type: 'object' } } });
  const tools = [nameOnly('get_weather'), nameOnly('get_time')];
  const CHAT = { messages: [question], max_tokens: 2000 };
  const CHATS: Readonly<Record<string, object>> = {
    'characters of several tokens': { ...CHAT, parts: false },
    reasoning: { ...CHAT, parts: true },
    'tool calls': { ...CHAT, tools },
    'tool calls as one text': { ...CHAT, tools, parts: false },
    'a single tool call': { ...CHAT, tools, parallel_tool_calls: false },
    'a required tool call': { ...CHAT, tools, tool_choice: 'required' },
    'a cut tool call': { ...CHAT, tools, max_tokens: 60 },
  };
  test.each(Object.entries(CHATS))('is the undisturbed one, cut at every position: %s', async (_, chat) => {
    const body = { temperature: 0, seed: 1, ...chat };
    await expectContinuedEverywhere(scriptedTwin, body, await toldBy(scripted, body));
  });

  test('lacks no piece if one id completed several, and only the first of them arrived', async () => {
    const body = { ...CHAT, tools, temperature: 0, seed: 1 };
    const whole = await toldBy(scripted, body);
    const within = whole.tokens.findIndex((token) => !('ids' in token));
    expect(within).toBeGreaterThan(0);
    const { tokens } = await expectContinued(scriptedTwin, body, whole, resumeAfter(whole, within));
    expect(tokens[0]).toMatchObject({ i: within, t: whole.tokens[within]?.['t'] });
  });

  test('tells its user how much of it is kept', async () => {
    const body = { ...SEA, ...SEEDED };
    const whole = await toldBy(first, body);
    const resume = resumeAfter(whole, 12);
    const events = await second.execute({ job_id: 'kept', ...body, resume });
    const [told] = all(events, 'narration').filter(({ event }) => event === 'request.continued');
    expect(told).toMatchObject({ tokens_kept: resume.token_ids.length });
    // The ids are told only on demand.
    expect(all(events, 'token').some((token) => 'ids' in token)).toBe(false);
  });

  test('may have begun with no id at all', async () => {
    const body = { ...SEA, ...SEEDED };
    const whole = await toldBy(first, body);
    await expectContinued(second, body, whole, resumeAfter(whole, 0));
  });

  test('ends at once if it is complete, while all slots are busy', async () => {
    const small = await startWorker({ args: ['--slots', '1'] });
    const body = { ...SEA, ...SEEDED };
    const whole = await toldBy(small, body);
    // On a busy machine the long job can end before.
    for (let hit = false; !hit; ) {
      const long = await Listener.open(small, longJob(randomUUID()));
      await long.untilToken();
      const rest = await expectContinued(small, body, whole, resumeAfter(whole, whole.tokens.length));
      expect(rest.tokens).toEqual([]);
      hit = !long.events.some(({ data }) => data.type === 'end');
      long.leave();
    }
    await small.stop();
  });

  test('goes on longer than the first request allowed', async () => {
    const short = await toldBy(first, { ...SEA, ...SEEDED, max_tokens: 20, min_tokens: 0 });
    const body = { ...SEA, ...SEEDED, min_tokens: 0 };
    const whole = await toldBy(first, body);
    await expectContinued(second, body, whole, resumeAfter(short, short.tokens.length));
  });
});
