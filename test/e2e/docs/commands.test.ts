/**
 * Every shell command of the documents runs as it is written, in the order of its block. Only ports are
 * replaced by free ones, and a hub on this machine has the models. A command that cannot run here is listed
 * with its reason.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { embeddedModel } from '../../../src/model/folder.ts';
import { quantizedModel } from '../../engine/quantized/quantized-model.ts';
import { writeCheckpoint } from '../../support/checkpoints/folder.ts';
import { checkpointNamed } from '../../support/checkpoints/models.ts';
import { ROOT, type ShellBlock, shellBlocks } from '../../support/documents.ts';
import { freePort } from '../../support/free-port.ts';
import { ggufBytes } from '../../support/gguf/gguf-bytes.ts';
import { filesOf } from '../../support/hub-models.ts';
import { HubServer } from '../../support/hub-server.ts';
import { track } from '../../support/processes.ts';
import { sharedWorker } from '../../support/shared-worker.ts';
import { CLI } from '../../support/worker.ts';

/** Commands that this test cannot run, with the reason. */
const NOT_HERE: readonly (readonly [command: RegExp, reason: string])[] = [
  [/^npm test\b/, 'runs this test'],
  [/^npm run (?:install:cuda|check:cuda)\b|^npm explore\b/, 'needs a machine with an NVIDIA GPU'],
  [/^npm run check:gpu\b|^sh build\/check-gpu-pack\//, 'npm run test:long rehearses it'],
  [/^(?:lm_eval|vllm) /, 'needs a Python package'],
  [/^(?:deno|bun) /, 'npm run test:runtimes installs these runtimes, and runs the client in them'],
  [/^rbees-workerd launch .*--run\b/, 'starts an agent, which npm run test:agents installs'],
];
/** A command that serves until it is stopped: the next one runs beside it. */
const SERVES = /^(?:npm start\b|rbees-workerd (?!ask|pull|doctor|ps|watch|launch|models|completions|--help|--version))/;
/** The worker must become ready. A signal that bash sends to a process right after its start can be lost. */
const UNTIL_READY =
  'until /usr/bin/curl --silent --fail --output /dev/null http://127.0.0.1:$RBEES_PORT/ready; do kill -0 $!; sleep 0.1; done';
/** The ports that documents use. */
const PORTS = /\b(?:8080|9100|9200)\b/g;
/** The models that documents pull, and the weights that they name. */
const MODELS = ['onnx-community/Qwen3-0.6B-ONNX'];
const CHECKPOINT = 'Qwen/Qwen2.5-0.5B-Instruct';
const GGUF = 'bartowski/Qwen2.5-0.5B-Instruct-GGUF';

let hub: HubServer;
let home: string;
beforeAll(async () => {
  const files = await filesOf(embeddedModel());
  const weights = files['onnx/model.onnx'];
  const repository = { files: { ...files, ...(weights && { 'onnx/model_q4.onnx': weights }) } };
  hub = await HubServer.start(Object.fromEntries(MODELS.map((model) => [model, repository])));
  home = await mkdtemp(join(tmpdir(), 'documents-'));
  const checkpoint = join(home, 'checkpoint');
  writeCheckpoint(checkpoint, checkpointNamed('qwen2'));
  hub.put(CHECKPOINT, { files: await filesOf(checkpoint) });
  const gguf = quantizedModel({ name: 'llama-2', formats: { others: 'q4_k' } });
  hub.put(GGUF, { files: { 'Qwen2.5-0.5B-Instruct-Q4_K_M.gguf': { bytes: ggufBytes(gguf), lfs: true } } });
  await mkdir(join(home, 'bin'));
  const node = JSON.stringify(process.execPath);
  await program('rbees-workerd', `exec ${node} ${JSON.stringify(CLI)} "$@"`);
  await program('npx', '[ "$1" = rbees-workerd ] || exit 1; exec "$@"');
  // A server that was started in the line before may not listen yet. An error status fails the command.
  await program(
    'curl',
    'exec /usr/bin/curl --silent --show-error --fail-with-body --retry 60 --retry-all-errors --retry-delay 1 "$@"',
  );
});
afterAll(() => hub.close());

async function program(name: string, script: string): Promise<void> {
  const file = join(home, 'bin', name);
  await writeFile(file, `#!/bin/sh\n${script}\n`);
  await chmod(file, 0o755);
}

const reasonFor = (command: string): string | undefined => NOT_HERE.find(([pattern]) => pattern.test(command))?.[1];

/** The script of a block. Ports that the block does not serve are those of the shared worker. */
function scriptOf({ commands }: ShellBlock, ports: ReadonlyMap<string, number>): string {
  const lines = commands.flatMap((command) => {
    if (reasonFor(command) !== undefined) return [];
    const text = command.replace(PORTS, (port) => String(ports.get(port)));
    return [
      `echo ${JSON.stringify(`$ ${text.split('\n')[0]}`)
        .replaceAll('$', '\\$')
        .replaceAll('`', '\\`')}`,
      SERVES.test(text) ? `${withoutComment(text)} &\n${UNTIL_READY}` : text,
    ];
  });
  return `set -em\ntrap 'code=$?; kill $(jobs -p) 2>/dev/null || true; wait; exit $code' EXIT\n${lines.join('\n')}\n`;
}

const withoutComment = (command: string): string => command.replace(/\s+#.*$/, '');

async function portsFor({ commands }: ShellBlock): Promise<ReadonlyMap<string, number>> {
  const serves = commands.some((command) => SERVES.test(command));
  const ports = new Map<string, number>();
  for (const port of ['8080', '9100', '9200']) {
    const shared = port === '8080' && !serves;
    ports.set(port, shared ? Number(new URL((await sharedWorker()).url).port) : await freePort());
  }
  return ports;
}

async function runScript(script: string, env: Readonly<Record<string, string>>) {
  const path = [join(home, 'bin'), dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter);
  const child = track(
    spawn('bash', ['-c', script], {
      cwd: ROOT,
      env: { PATH: path, HOME: home, TERM: 'dumb', HF_ENDPOINT: hub.url, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    }),
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
}

const blocks = shellBlocks();

describe.each(blocks)('$file:$line', (block) => {
  const here = block.commands.filter((command) => reasonFor(command) === undefined);
  for (const command of block.commands) {
    const reason = reasonFor(command);
    if (reason !== undefined) test.skip(`${command.split('\n')[0]}: ${reason}`, () => undefined);
  }

  test.runIf(here.length > 0)(`${here.length} commands`, { timeout: 300_000 }, async () => {
    const ports = await portsFor(block);
    const { code, output } = await runScript(scriptOf(block, ports), { RBEES_PORT: String(ports.get('8080')) });
    expect(code, output).toBe(0);
    expect(output).not.toMatch(/^event: error$/m);
  });
});

test('the documents have commands', () => {
  expect(blocks.map(({ file }) => file)).toEqual(expect.arrayContaining(['README.md', 'docs/models.md']));
});
