/** `ask` in pipes: the answer alone on stdout, the narration on stderr, and the forms of the question. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Run, runCli } from '../../support/cli.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

const QUESTION = 'Write a haiku about the sea';

const folder = mkdtempSync(join(tmpdir(), 'ask-'));
let worker: TestWorker;
beforeAll(async () => {
  worker = await startWorker();
});
afterAll(async () => {
  await worker.kill();
  rmSync(folder, { recursive: true });
});

/** Runs `ask` with the worker of this file. */
const ask = (args: readonly string[], options: Parameters<typeof runCli>[1] = {}): Promise<Run> =>
  runCli(['ask', ...args], { ...options, env: { RBEES_URL: worker.url, XDG_STATE_HOME: folder, ...options.env } });

/** The prompt tokens of the last request, as the worker logs them. */
const tokensIn = (): unknown => worker.lines.filter(({ event }) => event === 'prompt.tokenized').at(-1)?.['tokens_in'];

describe('with its own worker', () => {
  test('the answer is on stdout, and narration and figures on stderr', async () => {
    const { code, stdout, stderr } = await runCli(['ask', QUESTION, '--seed', '7']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^[^\n]+\n[^\n]+\n[^\n]+\n$/);
    const lines = stderr.trimEnd().split('\n');
    expect(lines.length).toBeGreaterThan(4);
    expect(lines.at(-1)).toMatch(/\d+ tokens · .*seed 7$/);
    expect(stderr).not.toContain('\x1b');
    for (const line of stdout.trimEnd().split('\n')) expect(stderr).not.toContain(line);
  });

  test('the settings after -- are those of its worker', async () => {
    const { code, stdout, stderr } = await runCli(['ask', QUESTION, '--', '--narration', 'off', '--slots', '1']);
    expect(code).toBe(0);
    expect(stdout).not.toBe('');
    expect(stderr.trimEnd().split('\n').length).toBe(1);
  });

  test('works with a token, and does not print it', async () => {
    const { code, stdout, stderr } = await runCli(['ask', 'Hello'], { env: { RBEES_API_TOKEN: 'never-to-be-seen' } });
    expect(code).toBe(0);
    expect(stdout).not.toBe('');
    expect(stdout + stderr).not.toContain('never-to-be-seen');
  });

  test('exits 1 with the reason when its worker cannot start', async () => {
    const { code, stdout, stderr } = await runCli(['ask', 'Hello', '--', '--model', 'no-such-folder']);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/no-such-folder/);
  });
});

describe('with a running worker', () => {
  test('starts no worker, and gets the same text for the same seed', async () => {
    const [byUrl, byVariable] = [
      await runCli(['ask', QUESTION, '--seed', '7', '--url', worker.url]),
      await ask([QUESTION, '--seed', '7']),
    ];
    expect([byUrl.code, byVariable.code]).toEqual([0, 0]);
    expect(byUrl.stdout).toBe(byVariable.stdout);
    expect(worker.lines.filter(({ event }) => event === 'inference.complete').length).toBe(2);
  });

  test('sends the token of the worker', async () => {
    const token = 'a-token-of-the-worker';
    const guarded = await startWorker({ env: { RBEES_API_TOKEN: token } });
    const without = await runCli(['ask', 'Hello', '--url', guarded.url]);
    expect([without.code, without.stdout]).toEqual([1, '']);
    expect(without.stderr).toContain('UNAUTHORIZED');
    for (const given of [
      await runCli(['ask', 'Hello', '--url', guarded.url, '--api-token', token]),
      await runCli(['ask', 'Hello'], { env: { RBEES_URL: guarded.url, RBEES_API_TOKEN: token } }),
    ])
      expect([given.code, given.stdout === '']).toEqual([0, false]);
    await guarded.stop();
  });

  test('exits 1 with the URL when no worker answers', async () => {
    const { code, stdout, stderr } = await runCli(['ask', 'Hello', '--url', 'http://127.0.0.1:9']);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain('The worker at http://127.0.0.1:9 did not answer');
  });

  test('settings of a worker cannot change it', async () => {
    const { code, stderr } = await runCli(['ask', 'Hello', '--url', worker.url, '--', '--slots', '1']);
    expect(code).toBe(2);
    expect(stderr).toContain('--url names a running worker');
  });

  test('settings of a worker override RBEES_URL', async () => {
    const { code } = await runCli(['ask', 'Hello', '--', '--slots', '1'], { env: { RBEES_URL: 'http://127.0.0.1:9' } });
    expect(code).toBe(0);
  });
});

describe('standard input', () => {
  test('is the context of a question', async () => {
    await ask(['moon', '--max-tokens', '1']);
    const alone = Number(tokensIn());
    await ask(['moon', '--max-tokens', '1'], { input: 'sea and sky\n' });
    expect(Number(tokensIn())).toBeGreaterThan(alone);
  });

  test('is the question if there is no other', async () => {
    const [given, piped] = [await ask(['moon', '--seed', '5']), await ask(['--seed', '5'], { input: 'moon\n' })];
    expect([piped.code, piped.stdout]).toEqual([0, given.stdout]);
  });

  test.each([
    ['a zero byte', Buffer.from([72, 105, 0, 1])],
    ['bytes that are not UTF-8', Buffer.from([72, 0xff, 0xfe, 0xc0])],
  ])('with %s is refused', async (_, input) => {
    const { code, stdout, stderr } = await ask(['What is it?'], { input });
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/standard input is not/);
  });

  test('longer than the context is refused by the worker', async () => {
    const { code, stdout, stderr } = await ask(['Summarize'], { input: 'the sea '.repeat(3000) });
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/PROMPT_TOO_LONG: .*tokens/);
  });
});

describe('a wrong command line', () => {
  test.each([
    [['ask'], 'ask needs a question'],
    [['ask', 'Hello', '--slots', '1'], 'after --'],
    [['ask', 'Hello', '--', '--slots', 'x'], '--slots: "x" is not allowed'],
    [['ask', 'Hello', 'again'], 'quotes'],
    [['ask', 'Hello', '--temperature', 'hot'], '--temperature must be a number from 0 to 2, but is "hot"'],
    [['ask', 'Hello', '--url', 'nonsense'], '--url: "nonsense" is not allowed'],
    [['ask', 'Hello', '--url', 'http://me:a-password@127.0.0.1:9'], 'has a user, a query or a fragment'],
    [['ask', '-c', 'Hello'], '--continue: there is no earlier conversation'],
  ])('%j exits 2', async (args, remedy) => {
    const { code, stdout, stderr } = await runCli(args, { env: { XDG_STATE_HOME: join(folder, 'empty') } });
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(remedy);
    expect(stderr).not.toContain('a-password');
  });
});

describe('forms of the output', () => {
  test('--json writes each event as one line', async () => {
    const { code, stdout, stderr } = await ask([QUESTION, '--json', '--seed', '7']);
    expect([code, stderr]).toEqual([0, '']);
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; t?: string });
    expect(events[0]?.type).toBe('started');
    expect(events.at(-1)).toMatchObject({ type: 'end', seed: 7 });
    const text = events.flatMap(({ type, t }) => (type === 'token' ? [t] : [])).join('');
    expect(`${text}\n`).toBe((await ask([QUESTION, '--seed', '7'])).stdout);
  });

  test('--schema gives a value that the schema accepts', async () => {
    const file = join(folder, 'schema.json');
    const properties = { n: { type: 'integer' } };
    writeFileSync(file, JSON.stringify({ type: 'object', properties, required: ['n'], additionalProperties: false }));
    const { code, stdout } = await ask([QUESTION, '--schema', file, '--max-tokens', '60', '--seed', '1']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ n: expect.any(Number) });
  });

  test('--quiet hides the narration', async () => {
    const { code, stdout, stderr } = await ask([QUESTION, '-q']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).not.toBe('');
  });

  test('FORCE_COLOR gives the narration styles, and NO_COLOR forbids them', async () => {
    const [forced, both] = await Promise.all([
      ask([QUESTION], { env: { FORCE_COLOR: '1' } }),
      ask([QUESTION], { env: { FORCE_COLOR: '1', NO_COLOR: '1' } }),
    ]);
    expect(forced.stderr).toContain('\x1b[2m');
    expect(both.stderr).not.toContain('\x1b');
    expect(forced.stdout).not.toContain('\x1b');
  });
});

describe('a conversation', () => {
  const env = { XDG_STATE_HOME: join(folder, 'talk') };
  const file = join(folder, 'talk', 'rbees-workerd', 'conversation.json');

  test('goes on with -c, and only this user can read it', async () => {
    const first = await ask([QUESTION, '--system', 'Be kind'], { env });
    await ask(['-c', 'And the moon?'], { env });
    const { messages } = JSON.parse(readFileSync(file, 'utf8')) as { messages: { role: string; content: string }[] };
    expect(messages.map(({ role }) => role)).toEqual(['system', 'user', 'assistant', 'user', 'assistant']);
    expect(`${messages[2]?.content}\n`).toBe(first.stdout);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test('begins anew without -c, and --no-save keeps the old one', async () => {
    await ask(['A', '--no-save'], { env });
    expect(readFileSync(file, 'utf8')).toContain('And the moon?');
    await ask(['B'], { env });
    expect(readFileSync(file, 'utf8')).not.toContain('And the moon?');
  });

  test('keeps the last complete answer when the reader of stdout leaves', async () => {
    await ask(['Kept'], { env });
    const kept = readFileSync(file, 'utf8');
    const { code } = await ask(['Write 400 words', '--json', '--min-tokens', '400'], {
      env,
      launcher: ['bash', '-c', 'set -o pipefail; "$@" | true', '-'],
    });
    expect(code).toBe(0);
    expect(readFileSync(file, 'utf8')).toBe(kept);
  });
});
