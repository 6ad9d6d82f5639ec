/** The file with converted weights of one engine, whose conversion does not end before the process does. */
import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EngineChild, type Loss } from '../../../src/bridge/child.ts';
import type { EngineOptions } from '../../../src/protocol/loading.ts';
import { storedDecoder } from '../../engine/conversion/stored-decoder.ts';
import { engineProcess, options } from '../../engine/harness.ts';

let root: string;
let own: string;
let engineOptions: EngineOptions;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'own-file-'));
  own = join(root, 'own');
  // The engine opens a pipe without a writer as its weight file: the conversion waits for ever.
  const pipe = join(root, 'model.gguf');
  execFileSync('mkfifo', [pipe]);
  const { decoder } = storedDecoder({ others: 'q4_0' });
  const candidates = [{ device: 'cpu', modelFile: pipe, weightFiles: [pipe], decoder }] as const;
  engineOptions = { ...options, candidates, context: 64, temporaryFolder: own };
});
afterEach(() => rmSync(root, { recursive: true }));

/** An engine that converts, and the promise of its loss. */
async function converting() {
  const losses: Loss[] = [];
  let began = (): void => undefined;
  const begun = new Promise<void>((resolve) => {
    began = resolve;
  });
  const forked = fork(engineProcess, [], { serialization: 'advanced', stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  const child = new EngineChild(forked, {
    onMessage: (message) => {
      if (message.kind === 'conversion' && message.progress.state === 'converting') began();
    },
    onEnded: (loss) => losses.push(loss),
  });
  const refused = child.open(engineOptions).catch((error: unknown) => error);
  await begun;
  expect(readdirSync(own)).toHaveLength(1);
  return { child, forked, refused, losses };
}

describe.runIf(process.platform === 'linux')('the file of an engine that converts weights for itself', () => {
  test('is gone when the worker has closed the engine', async () => {
    const { child, forked, refused } = await converting();
    const ended = once(forked, 'exit');
    await child.close(300);
    // `close` does not wait long for a killed process that a busy machine ends late.
    await ended;
    expect(readdirSync(own)).toEqual([]);
    expect(await refused).toMatchObject({ message: 'the worker stops' });
  });

  test('is gone when the engine was killed', async () => {
    const { forked, refused, losses } = await converting();
    forked.kill('SIGKILL');
    await refused;
    expect(readdirSync(own)).toEqual([]);
    expect(losses).toMatchObject([{ signal: 'SIGKILL' }]);
  });

  test('is gone when the worker exits at once', async () => {
    const script = fileURLToPath(new URL('./exiting-worker.mjs', import.meta.url));
    const worker = fork(script, [JSON.stringify(engineOptions)]);
    await once(worker, 'message');
    expect(readdirSync(own)).toHaveLength(1);
    worker.send('exit');
    await once(worker, 'exit');
    expect(readdirSync(own)).toEqual([]);
  });
});
