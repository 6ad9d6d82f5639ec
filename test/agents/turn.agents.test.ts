/**
 * Codex and opencode, unmodified, each complete a turn with a tool call against a real worker. The model is
 * scripted (test/support/scripted-model): it calls a tool that writes a file, and when the result of the tool
 * arrives, it ends the turn with a sentence.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { scriptedModel, toolCall } from '../support/scripted-model/model.ts';
import type { TestWorker } from '../support/worker.ts';
import { installAgents } from './install.ts';
import { runBeside, startApart } from './loopback.ts';

const agents = installAgents();
if (agents.obstacle !== undefined) process.stdout.write(`${agents.obstacle}\n`);
afterAll(() => agents.remove());
const withAgents = test.skipIf(agents.obstacle !== undefined);

const LAST_WORDS = 'The file is written, as you asked.';
const PROOF = 'written by a tool call';
const TITLE = 'Write a file';
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

/** Starts a worker whose model calls a tool once in a turn. @returns its base URL for OpenAI clients */
async function serve(call: string): Promise<string> {
  const folder = await scriptedModel(join(root, 'scripted'), { plain: TITLE, withTools: call, afterTool: LAST_WORDS });
  worker = await startApart(['--model', folder]);
  return `${worker.url}/v1`;
}

withAgents('Codex runs a command and ends its turn, over /v1/responses', { timeout: TURN_MS }, async () => {
  const url = await serve(toolCall('exec_command', { cmd: `printf '${PROOF}' > proof.txt` }));
  writeFileSync(
    join(home, 'config.toml'),
    `model = "scripted"
model_provider = "worker"
[model_providers.worker]
name = "worker"
base_url = "${url}"
wire_api = "responses"
`,
  );
  const run = await runBeside(worker, {
    command: agents.command('codex'),
    args: ['exec', '--skip-git-repo-check', '--sandbox', 'danger-full-access', REQUEST],
    cwd: work,
    env: { HOME: home, CODEX_HOME: home },
  });
  expect(run, run.stderr).toMatchObject({ code: 0, stdout: `${LAST_WORDS}\n` });
  expect(readFileSync(join(work, 'proof.txt'), 'utf8')).toBe(PROOF);
});

withAgents('opencode writes a file and ends its turn, over /v1/chat/completions', { timeout: TURN_MS }, async () => {
  const file = join(work, 'proof.txt');
  const url = await serve(toolCall('write', { filePath: file, content: PROOF }));
  const provider = {
    npm: '@ai-sdk/openai-compatible',
    name: 'worker',
    options: { baseURL: url, apiKey: 'none' },
    models: { scripted: { name: 'scripted' } },
  };
  const config = { model: 'worker/scripted', autoupdate: false, share: 'disabled', permission: 'allow' };
  writeFileSync(join(work, 'opencode.json'), JSON.stringify({ ...config, provider: { worker: provider } }));
  const folders = ['CONFIG', 'DATA', 'CACHE', 'STATE'].map((name) => [`XDG_${name}_HOME`, join(home, name)]);
  const run = await runBeside(worker, {
    command: agents.command('opencode'),
    args: ['run', '--format', 'json', REQUEST],
    cwd: work,
    env: { HOME: home, ...Object.fromEntries(folders) },
  });
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
