/** `ask --chat`: a conversation on a terminal and in a pipe. */
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCli } from '../../support/cli.ts';
import { PtySession } from '../../support/pty.ts';
import { scriptedModel } from '../../support/scripted-model/model.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

const folder = mkdtempSync(join(tmpdir(), 'ask-chat-'));
let worker: TestWorker;
let endless: TestWorker;
beforeAll(async () => {
  const model = await scriptedModel(join(folder, 'long'), { plain: 'all the words of the sea '.repeat(3000) });
  [worker, endless] = await Promise.all([startWorker(), startWorker({ args: ['--model', model] })]);
});
afterAll(async () => {
  await Promise.all([worker.kill(), endless.kill()]);
  rmSync(folder, { recursive: true });
});

/** A chat on a terminal, at its first prompt. */
async function chat(url: string, state: string, more: readonly string[] = []): Promise<PtySession> {
  const session = new PtySession(['ask', '--chat', '--url', url, ...more], {
    columns: 100,
    env: { XDG_STATE_HOME: join(folder, state) },
  });
  await session.until(atPrompt);
  return session;
}

const atPrompt = (text: string): boolean => text.endsWith('\n>');
/** True if the line with `typed` has an answer, and a prompt follows. */
const answered = (typed: string) => (text: string) => new RegExp(`${typed}\n.*tokens · .*\n>$`, 's').test(text);

const stateFile = (state: string, name: string): string => join(folder, state, 'rbees-workerd', name);

test('answers questions, in lines and in blocks, and keeps the conversation', async () => {
  const session = await chat(worker.url, 'talk');
  session.type('Write about the sea\r');
  await session.until(answered('Write about the sea'));
  session.type('"""first\rsecond"""\r');
  await session.until(answered('second"""'));
  session.type('\x04');
  expect(await session.exited).toBe(0);
  expect(session.isCursorVisible).toBe(true);
  const { messages } = JSON.parse(readFileSync(stateFile('talk', 'conversation.json'), 'utf8')) as {
    messages: { role: string; content: string }[];
  };
  expect(messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'user', 'assistant']);
  expect(messages[2]?.content).toBe('first\nsecond');
  expect(statSync(stateFile('talk', 'history.jsonl')).mode & 0o777).toBe(0o600);
});

test('the arrow keys find the questions of an earlier chat, and -c goes on with it', async () => {
  const session = await chat(worker.url, 'talk', ['-c']);
  session.type('\x1b[A\x1b[A');
  await session.until((text) => text.endsWith('> Write about the sea'));
  session.type('\r');
  await session.until(answered('> Write about the sea'));
  session.type('/exit\r');
  expect(await session.exited).toBe(0);
  expect(readFileSync(stateFile('talk', 'conversation.json'), 'utf8').match(/"user"/g)?.length).toBe(3);
});

test('commands set fields, save, clear and help, and name a similar command', async () => {
  const session = await chat(worker.url, 'commands');
  const file = join(folder, 'talk.md');
  const say = async (line: string, reply: RegExp): Promise<void> => {
    session.type(`${line}\r`);
    await session.until((text) => atPrompt(text) && reply.test(text.slice(text.lastIndexOf(line.slice(0, 12)))));
  };
  await say('/set max_tokens 3', /max_tokens is 3\./);
  await say('/set temperature hot', /temperature must be a number from 0 to 2, but is "hot"/);
  await say('/set top-p 0.5', /top_p is 0\.5\./);
  await say('/set', /max_tokens 3\n\s+top_p 0\.5/);
  await say('/set top_p', /top_p is back at its default/);
  await say('/system Be kind', /new instructions/);
  session.type('Hello\r');
  await session.until(answered('Hello'));
  expect(session.text).toMatch(/3 tokens · .*ended by max_tokens/);
  await say(`/save ${file}`, /is in/);
  await say(`/save ${file}`, /exists already/);
  expect(readFileSync(file, 'utf8')).toMatch(/^## System\n\nBe kind\n\n## Question\n\nHello\n\n## Answer\n\n/);
  await say('/clear', /is empty now/);
  await say('/hlep', /Did you mean \/help\?/);
  await say('/help', /Ctrl-C\s+cancels the answer/);
  session.type('/exit\r');
  expect(await session.exited).toBe(0);
});

test('Ctrl-C cancels the answer, and the chat goes on', async () => {
  const session = await chat(endless.url, 'cancel');
  session.type('Hello\r');
  await session.until((text) => text.includes('words of the sea'));
  session.type('\x03');
  await session.until((text) => /The answer was cancelled\.\n>$/.test(text));
  await endless.line('request.cancelled');
  session.type('half a line\x03');
  await session.until((text) => text.endsWith('cancelled.\n>'));
  session.type('\x03');
  await session.until((text) => /leaves the chat\.\n>$/.test(text));
  session.type('\x04');
  expect(await session.exited).toBe(0);
  expect(session.isCursorVisible).toBe(true);
});

test('in a pipe, the answers alone are on stdout', async () => {
  const { code, stdout, stderr } = await runCli(['ask', '--chat', '--url', worker.url, '--seed', '1'], {
    input: 'Write about the sea\n/set max_tokens 2\n"""\nWrite\nmore\n"""\n',
  });
  expect(code).toBe(0);
  expect(stdout.trimEnd().split('\n').length).toBe(4);
  expect(stderr).toContain('max_tokens is 2.');
  expect(stderr).toContain('ended by max_tokens');
});
