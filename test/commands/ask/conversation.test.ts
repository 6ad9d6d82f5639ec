/** The files of `ask`: the last conversation and the history of the chat. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { Conversation, MAX_MESSAGES } from '../../../src/commands/ask/state/conversation.ts';
import { History, MAX_HISTORY } from '../../../src/commands/ask/state/history.ts';

const root = mkdtempSync(join(tmpdir(), 'conversation-'));
const before = process.env['XDG_STATE_HOME'];
let folder: string;
beforeEach(() => {
  const state = mkdtempSync(join(root, 'state-'));
  process.env['XDG_STATE_HOME'] = state;
  folder = join(state, 'rbees-workerd');
});
afterAll(() => {
  if (before === undefined) delete process.env['XDG_STATE_HOME'];
  else process.env['XDG_STATE_HOME'] = before;
  rmSync(root, { recursive: true });
});

test('a saved conversation goes on, with its instructions first', () => {
  expect(Conversation.last()).toBeUndefined();
  const conversation = new Conversation();
  conversation.system = 'Be kind';
  conversation.add('a', 'b');
  expect(conversation.save()).toBeUndefined();
  expect(
    Conversation.last()
      ?.withQuestion('c')
      .map(({ role, content }) => [role, content]),
  ).toEqual([
    ['system', 'Be kind'],
    ['user', 'a'],
    ['assistant', 'b'],
    ['user', 'c'],
  ]);
  expect([statSync(folder).mode & 0o777, statSync(join(folder, 'conversation.json')).mode & 0o777]).toEqual([
    0o700, 0o600,
  ]);
});

test('a request has at most the last messages, and begins with a question', () => {
  const conversation = new Conversation();
  for (let turn = 0; turn < MAX_MESSAGES; turn += 1) conversation.add(`question ${turn}`, `answer ${turn}`);
  const messages = conversation.withQuestion('last');
  expect(messages.length).toBe(MAX_MESSAGES + 1);
  expect(messages[0]).toEqual({ role: 'user', content: `question ${MAX_MESSAGES / 2}` });
  conversation.save();
  expect(Conversation.last()?.messages.length).toBe(MAX_MESSAGES);
});

test.each(['{', '[]', '{"messages": [{"role": "tool", "content": "x"}]}', '{"messages": 5}'])(
  'a damaged file is no conversation: %s',
  (text) => {
    new Conversation().save();
    writeFileSync(join(folder, 'conversation.json'), text);
    expect(Conversation.last()).toBeUndefined();
  },
);

test('a folder that cannot be made is a reason, and no error', () => {
  const file = join(root, 'file');
  writeFileSync(file, '');
  process.env['XDG_STATE_HOME'] = file;
  expect(new Conversation().save()).toMatch(/ENOTDIR|EEXIST/);
});

test('the history keeps the newest questions, each once in a row, and skips damaged lines', () => {
  const history = new History(true);
  for (let index = 0; index < MAX_HISTORY + 5; index += 1) history.add(`question ${index}`);
  history.add('two\nlines');
  history.add('two\nlines');
  const file = join(folder, 'history.jsonl');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  writeFileSync(file, `${readFileSync(file, 'utf8')}{damaged\n`);
  const { newestFirst } = new History(true);
  expect(newestFirst.slice(0, 2)).toEqual(['two lines', `question ${MAX_HISTORY + 4}`]);
  expect(newestFirst.length).toBe(MAX_HISTORY);
});

test('a history that is not saved has the new question, and leaves the file as it is', () => {
  const file = join(folder, 'history.jsonl');
  new History(true).add('kept');
  const saved = readFileSync(file, 'utf8');
  const history = new History(false);
  history.add('a secret');
  expect(history.newestFirst[0]).toBe('a secret');
  expect(readFileSync(file, 'utf8')).toBe(saved);
});
