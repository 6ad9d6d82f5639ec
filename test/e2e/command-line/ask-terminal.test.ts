/** `ask` on a terminal: the screen that a person sees, Ctrl-C, and readers that leave. */
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCli } from '../../support/cli.ts';
import { childrenOf, untilGone } from '../../support/processes.ts';
import { PtySession } from '../../support/pty.ts';
import { reasoned, scriptedModel, toolCall } from '../../support/scripted-model/model.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

const SUMMARY = /^(?:🎉 )?\d+ tokens · \d+(?:\.\d)? tokens\/s · first after \d+(?:\.\d+)? m?s · /m;
const WIDE = '海は広い。波の音が聞こえる。🐚 가나다라마바사. '.repeat(6).trim();
const ENDLESS = 'all the words of the sea and of the sky '.repeat(2500);
const ESCAPES = '\x1b[2J\x1b]0;pwned\x07visible\u202e text';

const folder = mkdtempSync(join(tmpdir(), 'ask-terminal-'));
/** Answers with reasoning, wide characters and control sequences; with tools, by a call. */
let scripted: TestWorker;
/** Answers with a text that never ends in the time of a test. */
let endless: TestWorker;
beforeAll(async () => {
  const [short, long] = await Promise.all([
    scriptedModel(join(folder, 'short'), {
      plain: reasoned('First I think.', `${WIDE}\n${ESCAPES}`),
      withTools: toolCall('get_weather', { city: 'Łódź' }),
    }),
    scriptedModel(join(folder, 'long'), { plain: ENDLESS }),
  ]);
  [scripted, endless] = await Promise.all([
    startWorker({ args: ['--model', short] }),
    startWorker({ args: ['--model', long, '--slots', '1'] }),
  ]);
});
afterAll(async () => {
  await Promise.all([scripted.kill(), endless.kill()]);
  rmSync(folder, { recursive: true });
});

/** The lines of a screen without spaces: a wide character can leave the last column of a row empty. */
const packed = (text: string): string => text.replaceAll(/\s/g, '');

describe('the screen', () => {
  test('shows the narration while its worker starts and answers, and then the answer and one line', async () => {
    // With a seed: about one of 3 000 random haikus has a single line.
    const session = new PtySession(['ask', 'Write a haiku about the sea', '--seed', '1']);
    expect(await session.exited).toBe(0);
    const lines = session.lines();
    expect(lines.length).toBe(4);
    expect(lines.at(-1)).toMatch(SUMMARY);
    expect(session.isCursorVisible).toBe(true);
    // The bytes of all drawings: a screen can be gone before the test looks at it.
    expect(session.raw).toMatch(/Worker starts|HTTP server listens|Model loader/);
    expect(session.raw).toMatch(/Tokenizer split|Engine generated|Engine finished/);
  });

  test.each([80, 37, 20])('is right for wide characters and emoji on %i columns', async (columns) => {
    const session = new PtySession(['ask', 'Hello', '--url', scripted.url], { columns, rows: 12 });
    expect(await session.exited).toBe(0);
    const text = packed(session.text);
    expect(text.startsWith(packed(`First I think.${WIDE}[2J]0;pwnedvisible text`))).toBe(true);
    expect(session.raw).not.toContain('\x1b]0;');
    for (const line of session.lines().slice(0, -1)) expect(line).not.toMatch(/tokens/);
  });

  test('keeps the whole story with --story', async () => {
    const session = new PtySession(['ask', 'Hello', '--url', scripted.url, '--story'], { columns: 100, rows: 40 });
    expect(await session.exited).toBe(0);
    expect(session.text).toMatch(/HTTP server accepted job.*Tokenizer split.*Engine finished.*Request took/s);
    expect(session.lines().at(-1)).toMatch(SUMMARY);
  });

  test('shows a tool call as such', async () => {
    const tools = JSON.stringify([{ type: 'function', function: { name: 'get_weather', parameters: {} } }]);
    const session = new PtySession(['ask', 'Weather?', '--url', scripted.url, '--tools', tools]);
    expect(await session.exited).toBe(0);
    expect(session.lines()[0]).toMatch(/^→ get_weather \{"city": ?"Łódź"\}$/);
  });

  test('follows the size of the terminal', async () => {
    const session = new PtySession(['ask', 'Hello', '--url', endless.url], { columns: 90, rows: 15 });
    await session.until((text) => text.includes('of the sea'));
    session.resize(41, 10);
    // Every row of the pane fits into the new width: none of them wraps.
    await session.until((text) => /sky?(?:\n.{10,40}){3}\n. \d+ tokens · .{5,30}$/.test(text));
    session.resize(100, 20);
    await session.until((text) => /(?:\n.{42,99}){2}\n.*\n. \d+ tokens · .*$/.test(text));
    session.type('\x03');
    expect(await session.exited).toBe(130);
    expect(session.isCursorVisible).toBe(true);
  });
});

describe('styles and control sequences', () => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the start of a style
  const STYLE = /\x1b\[\d+m/;

  test('NO_COLOR leaves the pane without styles', async () => {
    const session = new PtySession(['ask', 'Hello', '--url', scripted.url], {
      env: { NO_COLOR: '1', FORCE_COLOR: '1' },
    });
    expect(await session.exited).toBe(0);
    expect(session.raw).not.toMatch(STYLE);
    expect(session.raw).toContain('\x1b[?25h');
  });

  test('TERM=dumb gets no control sequence, and the narration after the answer', async () => {
    const session = new PtySession(['ask', 'Hello', '--url', scripted.url], {
      env: { TERM: 'dumb', FORCE_COLOR: '1' },
    });
    expect(await session.exited).toBe(0);
    expect(session.raw).not.toContain('\x1b');
    expect(packed(session.text)).toContain(packed(`${WIDE}[2J]0;pwnedvisible text`));
    expect(packed(session.text)).toMatch(/visibletext.*Enginefinished/);
  });

  test('stdout in a file has the exact answer, and the terminal only the pane', async () => {
    const file = join(folder, 'answer.txt');
    const session = new PtySession([], { shell: `$CLI ask Hello --url ${scripted.url} > ${file}` });
    expect(await session.exited).toBe(0);
    expect(readFileSync(file, 'utf8')).toBe(`${WIDE}\n${ESCAPES}\n`);
    expect(session.lines()).toEqual([expect.stringMatching(SUMMARY)]);
  });

  test('a pipe that ends in the same terminal is not disturbed', async () => {
    const session = new PtySession([], { shell: `$CLI ask Hello --url ${endless.url} --max-tokens 900 | cat` });
    expect(await session.exited).toBe(0);
    expect(packed(session.text)).toBe(packed(ENDLESS.slice(0, 900)));
    expect(session.isCursorVisible).toBe(true);
  });

  test('stdout in a pipe and --story show each sentence on a line', async () => {
    const session = new PtySession([], { shell: `$CLI ask Hello --url ${scripted.url} --story | wc -c` });
    expect(await session.exited).toBe(0);
    expect(session.raw).toMatch(/accepted job.*Tokenizer split.*Engine finished.*Request took/s);
    expect(session.raw).not.toContain('\x1b[J');
  });
});

const pidIn = (raw: string): number => Number(/pid=(\d+)/.exec(raw)?.[1]);

describe('a person who stops', () => {
  const cancelled = (): number => endless.lines.filter(({ event }) => event === 'request.cancelled').length;

  test('with Ctrl-C cancels the job, and the command exits 130', async () => {
    const before = cancelled();
    const session = new PtySession(['ask', 'Hello', '--url', endless.url]);
    await session.until((text) => text.includes('of the sea'));
    session.type('\x03');
    expect(await session.exited).toBe(130);
    expect(session.isCursorVisible).toBe(true);
    await expect.poll(cancelled).toBe(before + 1);
  });

  test('with Ctrl-C ends its own worker too', async () => {
    const session = new PtySession([], {
      shell: `echo "pid=$$"; exec $CLI ask Hello -- --model ${join(folder, 'long')}`,
    });
    await session.until((text) => text.includes('of the sea'));
    const workers = childrenOf(pidIn(session.raw));
    expect(workers.length).toBe(1);
    session.type('\x03');
    expect(await session.exited).toBe(130);
    expect(session.isCursorVisible).toBe(true);
    for (const worker of workers) await untilGone(worker);
  });

  test('or a system that kills its own worker ends the command with the reason', async () => {
    const session = new PtySession([], {
      shell: `echo "pid=$$"; exec $CLI ask Hello -- --model ${join(folder, 'long')}`,
    });
    await session.until((text) => text.includes('of the sea'));
    for (const worker of childrenOf(pidIn(session.raw))) process.kill(worker, 'SIGKILL');
    expect(await session.exited).toBe(1);
    expect(session.lines().at(-1)).toContain('The worker of this command has ended by the signal SIGKILL.');
    expect(session.isCursorVisible).toBe(true);
  });

  test('with SIGTERM cancels the job, and the command exits 143', async () => {
    const before = cancelled();
    const session = new PtySession([], { shell: `echo "pid=$$"; exec $CLI ask Hello --url ${endless.url}` });
    await session.until((text) => text.includes('of the sea'));
    process.kill(pidIn(session.raw), 'SIGTERM');
    expect(await session.exited).toBe(143);
    expect(session.isCursorVisible).toBe(true);
    await expect.poll(cancelled).toBe(before + 1);
  });

  test('leaves a worker that does not answer the cancel', async () => {
    const token = JSON.stringify({ type: 'token', t: 'a first word', i: 0 });
    const deaf = createServer((request, response) => {
      if (request.url !== '/execute') return;
      response
        .writeHead(200, { 'Content-Type': 'text/event-stream' })
        .write(`id: r-0\nevent: token\ndata: ${token}\n\n`);
    });
    await once(deaf.listen(0, '127.0.0.1'), 'listening');
    const { port } = deaf.address() as AddressInfo;
    const session = new PtySession(['ask', 'Hello', '--url', `http://127.0.0.1:${port}`]);
    await session.until((text) => text.includes('a first word'));
    session.type('\x03');
    expect(await session.exited).toBe(130);
    expect(session.isCursorVisible).toBe(true);
    deaf.closeAllConnections();
    deaf.close();
  });

  test('reading only the first line cancels the job quietly', async () => {
    const before = cancelled();
    const { code, stdout, stderr } = await runCli(['ask', 'Hello', '--url', endless.url, '--json'], {
      launcher: ['bash', '-c', 'set -o pipefail; "$@" | head -n 1', '-'],
    });
    expect([code, JSON.parse(stdout)]).toEqual([0, expect.objectContaining({ type: 'started' })]);
    expect(stderr).toBe('');
    await expect.poll(cancelled).toBe(before + 1);
  });
});
