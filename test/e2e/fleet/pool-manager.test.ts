/** The example pool-manager alone: failed starts, and its own end. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { CEILING_MS, Example, Manager, task } from '../../support/fleet.ts';
import { Listener, lastOf } from '../../support/listener.ts';

const MODEL = fileURLToPath(new URL('../../../models/haiku', import.meta.url));
let manager: Manager | undefined;
afterEach(async () => {
  await manager?.kill();
  manager = undefined;
});

test('a pool-manager whose successor does not start keeps its workers', { timeout: CEILING_MS }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fleet-'));
  const model = join(folder, 'haiku');
  cpSync(MODEL, model, { recursive: true });
  manager = await Manager.start(1, ['--model', model]);
  const before = await manager.endpoints();
  rmSync(folder, { recursive: true });
  const answer = await manager.roll();
  expect(answer.status).toBe(500);
  expect(await answer.json()).toEqual({ message: 'w0-g2 ended before it was ready, code 1' });
  expect(await manager.endpoints()).toEqual(before);
  for (const { url } of before) expect((await fetch(`${url}/ready`)).status).toBe(200);
});

test('a pool-manager rolls once at a time', { timeout: CEILING_MS }, async () => {
  manager = await Manager.start(1);
  const answers = await Promise.all([manager.roll(), manager.roll()]);
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
  expect(await manager.endpoints()).toMatchObject([{ worker_id: 'w0-g2' }]);
});

test('a pool-manager with flags that no worker accepts ends with code 2', async () => {
  const example = new Example('fleet/pool-manager', ['2', '0', '--slots', 'many']);
  expect(await example.exited).toEqual({ code: 2 });
});

test.skipIf(process.platform === 'win32')(
  'the workers of a pool-manager finish their streams after Ctrl-C, which signals workers too',
  { timeout: CEILING_MS },
  async () => {
    manager = await Manager.start(1);
    const [endpoint] = await manager.endpoints();
    const body = { job_id: 'long', ...task(1, 500) };
    const stream = await Listener.post(`${endpoint?.url}/execute`, body, { 'Content-Type': 'application/json' });
    await stream.untilToken(2);
    process.kill(-Number(manager.process.pid), 'SIGINT');
    expect(lastOf(await stream.ended)).toMatchObject({ type: 'end', tokens_out: 500 });
    expect(await manager.exited).toEqual({ code: 0 });
    const exit = await manager.line('manager.worker_exited');
    expect(exit).toMatchObject({ code: 0 });
  },
);

test.skipIf(process.platform === 'win32')(
  'the workers of a pool-manager that is killed drain',
  { timeout: CEILING_MS },
  async () => {
    manager = await Manager.start(1);
    expect(await manager.stopAll('SIGKILL')).toBe(null);
    expect(manager.started).toHaveLength(1);
  },
);
