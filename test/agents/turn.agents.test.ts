/**
 * Codex and opencode, unmodified and configured by `launch --run`, each complete a turn with a tool call against a
 * real worker. The model is scripted (test/support/scripted-model): it calls a tool that writes a file, and when
 * the result of the tool arrives, it ends the turn with a sentence.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { scriptedModel, toolCall } from '../support/scripted-model/model.ts';
import { CLI, type TestWorker } from '../support/worker.ts';
import { installAgents } from './install.ts';
import { runBeside, startApart } from './loopback.ts';

const agents = installAgents();
if (agents.obstacle !== undefined) process.stdout.write(`${agents.obstacle}\n`);
afterAll(() => agents.remove());
const withAgents = test.skipIf(agents.obstacle !== undefined);

const LAST_WORDS = 'The file is written, as you asked.';
const PROOF = 'written by a tool call';
const TITLE = 'Write a file';
const TOKEN = 'only-for-agents';
const REQUEST = 'Write proof.txt, please.';
const TURN_MS = 300_000;

let root: string;
let home: string;
let work: string;
let worker: TestWorker;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'agent-'));
  home = join(root, 'home');
  work = join(root, 'work');
  for (const folder of [home, work]) mkdirSync(folder);
});
afterEach(async () => {
  await worker.kill();
  rmSync(root, { recursive: true, force: true });
});

/** Starts a worker whose model calls a tool once in a turn. */
async function serve(call: string): Promise<void> {
  const folder = await scriptedModel(join(root, 'scripted'), { plain: TITLE, withTools: call, afterTool: LAST_WORDS });
  worker = await startApart(['--model', folder, '--api-token', TOKEN]);
}

/** Runs `rbees-workerd launch <agent> --run` in the namespace of the worker. */
const launch = (agent: string, args: readonly string[], env: Readonly<Record<string, string>>) =>
  runBeside(worker, {
    command: process.execPath,
    args: [CLI, 'launch', agent, '--url', worker.url, '--run', '--', ...args],
    cwd: work,
    env: {
      ...{ HOME: home, RBEES_API_TOKEN: TOKEN, ...env },
      PATH: `${dirname(agents.command(agent))}${delimiter}${process.env['PATH'] ?? ''}`,
    },
  });

withAgents('Codex runs a command and ends its turn, over /v1/responses', { timeout: TURN_MS }, async () => {
  await serve(toolCall('exec_command', { cmd: `printf '${PROOF}' > proof.txt` }));
  const run = await launch('codex', ['exec', '--skip-git-repo-check', '--sandbox', 'danger-full-access', REQUEST], {
    CODEX_HOME: home,
  });
  expect(run, run.stderr).toMatchObject({ code: 0, stdout: `${LAST_WORDS}\n` });
  expect(readFileSync(join(work, 'proof.txt'), 'utf8')).toBe(PROOF);
});

withAgents('opencode writes a file and ends its turn, over /v1/chat/completions', { timeout: TURN_MS }, async () => {
  const file = join(work, 'proof.txt');
  await serve(toolCall('write', { filePath: file, content: PROOF }));
  // Besides the configuration of the worker, which has another source.
  const config = { autoupdate: false, share: 'disabled', permission: 'allow' };
  writeFileSync(join(work, 'opencode.json'), JSON.stringify(config));
  const folders = ['CONFIG', 'DATA', 'CACHE', 'STATE'].map((name) => [`XDG_${name}_HOME`, join(home, name)]);
  const run = await launch('opencode', ['run', '--format', 'json', REQUEST], Object.fromEntries(folders));
  expect(run.code, run.stderr).toBe(0);
  const events = run.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { type: string; part: Record<string, unknown> });
  const parts = (type: string) => events.filter((event) => event.type === type).map(({ part }) => part);
  expect(parts('tool_use')).toMatchObject([{ tool: 'write', state: { status: 'completed' } }]);
  expect(parts('text')).toMatchObject([{ text: LAST_WORDS }]);
  expect(readFileSync(file, 'utf8')).toBe(PROOF);
});
