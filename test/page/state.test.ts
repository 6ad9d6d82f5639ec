/** The state of the page: the tree of a conversation, the parameters, an imported file. */
import { describe, expect, test } from 'vitest';
import { ConnectionError, RefusedError } from '../../src/client/client.ts';
import { addEvent, endWith, newAnswer } from '../../src/page/state/answer.ts';
import { Conversation, type Turn } from '../../src/page/state/conversation.ts';
import { exportJson, exportMarkdown } from '../../src/page/state/export.ts';
import { importJson } from '../../src/page/state/import.ts';
import { firstProblem, NUMBER_FIELDS, problemOf, rangeText, requestFields } from '../../src/page/state/parameters.ts';

const NOW = 1_800_000_000_000;

function answerOf(text: string) {
  const answer = newAnswer('job', NOW);
  addEvent(answer, { type: 'token', t: text, i: 0 }, NOW + 5);
  answer.status = 'complete';
  return { kind: 'answer' as const, answer };
}
const textsOf = (turns: readonly Turn[]): string[] =>
  turns.map((turn) => (turn.kind === 'user' ? turn.text : turn.kind === 'answer' ? turn.answer.text : 'results'));

describe('a conversation', () => {
  test('has a branch for every edit, and each branch keeps what follows it', () => {
    const talk = new Conversation();
    const first = talk.add('', { kind: 'user', text: 'one' });
    const answer = talk.add(first.id, answerOf('A'));
    talk.add(answer.id, { kind: 'user', text: 'two' });
    const edited = talk.add('', { kind: 'user', text: 'other' });
    expect(textsOf(talk.path)).toEqual(['other']);
    expect(talk.branches(edited)).toEqual({ index: 1, ids: [first.id, edited.id] });
    talk.choose(first);
    expect(textsOf(talk.path)).toEqual(['one', 'A', 'two']);
    expect(textsOf(new Conversation(JSON.parse(JSON.stringify(talk.data))).path)).toEqual(['one', 'A', 'two']);
  });

  test('gives a new turn an id that no stored turn has', () => {
    const talk = new Conversation();
    talk.add('', { kind: 'user', text: 'one' });
    const stored = new Conversation(talk.data);
    expect(stored.add('', { kind: 'user', text: 'two' }).id).toBe('t2');
  });

  test('becomes the messages of a request, with calls and results', () => {
    const talk = new Conversation();
    const user = talk.add('', { kind: 'user', text: 'one' });
    const given = answerOf('');
    given.answer.calls.push({ id: 'c1', name: 'f', arguments: '{}' });
    const answer = talk.add(user.id, given);
    const results = talk.add(answer.id, { kind: 'results', results: [{ callId: 'c1', name: 'f', content: '7' }] });
    expect(talk.messages(results.id, 'S')).toEqual([
      { role: 'system', content: 'S' },
      { role: 'user', content: 'one' },
      {
        role: 'assistant',
        content: '',
        tool_calls: [{ id: 'c1', type: 'function', function: { name: 'f', arguments: '{}' } }],
      },
      { role: 'tool', tool_call_id: 'c1', content: '7' },
    ]);
    expect(talk.messages(user.id, ' ')).toEqual([{ role: 'user', content: 'one' }]);
  });
});

describe('the parameters', () => {
  test('are those of the table of the worker, with their ranges', () => {
    expect(NUMBER_FIELDS.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['max_tokens', 'temperature', 'top_p', 'min_p', 'top_k', 'seed', 'repetition_penalty']),
    );
    const ranges = Object.fromEntries(NUMBER_FIELDS.map((field) => [field.name, rangeText(field)]));
    expect(ranges).toMatchObject({
      temperature: '0 to 2',
      top_k: '0 up',
      repetition_penalty: 'above 0 to 2',
      seed: '0 up',
    });
  });

  test.each([
    ['temperature', '2.5', 'Must be a number from 0 to 2.'],
    ['temperature', 'warm', 'Must be a number from 0 to 2.'],
    ['seed', '1.5', 'Must be a whole number from 0 to 9007199254740991.'],
    ['max_tokens', '0', 'Must be a whole number from 1 up.'],
    ['tools', '{}', 'Must be a list: [{"type": "function", …}].'],
  ])('%s %s has the problem: %s', (name, text, problem) => {
    expect(problemOf(name, text)).toBe(problem);
    expect(firstProblem({ [name]: text })).toEqual({ name, problem });
  });

  test('become the fields of a request', () => {
    const given = {
      ...{ system: 'S', temperature: '0.5', top_k: '', stop: 'a\n\nb c', schema: '{"type": "object"}' },
      ...{ tools: '[]', tool_choice: 'required', enable_thinking: 'false' },
    };
    expect(firstProblem(given)).toBeUndefined();
    expect(requestFields(given)).toEqual({
      temperature: 0.5,
      stop: ['a', 'b c'],
      schema: { type: 'object' },
      tools: [],
      tool_choice: 'required',
      enable_thinking: false,
    });
    expect(requestFields({ temperature: '.5', top_k: ' 040 ', seed: '1e3' })).toEqual({
      temperature: 0.5,
      top_k: 40,
      seed: 1000,
    });
    expect(requestFields({ tool_choice: 'required', enable_thinking: 'default' })).toEqual({});
  });
});

test('an answer that no worker has any more shows the answer of the worker', () => {
  const error = { code: 'GONE', message: 'gone', retriable: false, retry: 'never', correlation_id: 'c' } as const;
  const refusal = new RefusedError({ status: 410, headers: new Headers() }, { error });
  for (const cause of [refusal, new Error('reset')]) {
    const answer = { ...newAnswer('job', NOW), lastEventId: 'run-1' };
    endWith(answer, new ConnectionError('broke', 'run-1', cause), NOW);
    expect(answer).toMatchObject({ status: 'lost', failure: { code: cause === refusal ? 'GONE' : 'CONNECTION' } });
  }
});

describe('an exported conversation', () => {
  const talk = new Conversation();
  const user = talk.add('', { kind: 'user', text: 'one' });
  talk.add(user.id, answerOf('```\nA'));
  const exported = { conversation: talk, parameters: { temperature: '0' }, health: undefined, now: new Date(NOW) };

  test('can be imported', () => {
    const file = importJson(exportJson(exported));
    expect(textsOf(new Conversation(file).path)).toEqual(['one', '```\nA']);
    expect(file?.parameters).toEqual({ temperature: '0' });
  });

  test('can be read as Markdown', () => {
    expect(exportMarkdown(exported)).toContain('## You\n\none\n\n## Answer\n\n```\nA');
  });

  test.each(['', 'null', '[]', '{"format": "other"}'])('is not %s', (text) => {
    expect(importJson(text)).toBeUndefined();
  });

  test('of a foreign file has no circle, no running answer and no other types', () => {
    const turns = [
      { id: 't2', parent: 't3', kind: 'user', text: 'circle' },
      { id: 't3', parent: 't2', kind: 'user', text: 5 },
      {
        id: 't4',
        parent: '',
        kind: 'answer',
        answer: { status: 'running', text: ['x'], story: { sentences: [{ human: 1 }] } },
      },
      { id: '__proto__', parent: '', kind: 'user' },
    ];
    const file = importJson(JSON.stringify({ format: 'rbees-conversation', turns, chosen: { t4: 5 } }));
    expect(file?.turns.map(({ id }) => id)).toEqual(['t3', 't4']);
    expect(file?.turns[1]).toMatchObject({
      answer: { status: 'lost', text: '', story: { sentences: [{ human: '' }] } },
    });
    expect(new Conversation(file).path.length).toBeLessThanOrEqual(2);
  });

  test('of a foreign file shows each turn in its own place only, and has no unknown parameters', () => {
    const turns = [
      { id: 't1', parent: '', kind: 'user', text: 'one' },
      { id: 't2', parent: 't1', kind: 'user', text: 'two' },
    ];
    const parameters = { system: 'S', seed: '7', stop: 'a', tool_choice: 'auto', job_id: 'x', toString: '"y"' };
    const file = importJson(
      JSON.stringify({ format: 'rbees-conversation', turns, chosen: { '': 't1', t1: 't1', t2: 't2' }, parameters }),
    );
    expect(textsOf(new Conversation(file).path)).toEqual(['one', 'two']);
    expect(file?.parameters).toEqual({ system: 'S', seed: '7', stop: 'a', tool_choice: 'auto' });
  });
});
