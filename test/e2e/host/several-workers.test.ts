/**
 * Workers of one user that start together: each plans with the memory that the others leave. The cache of the
 * model is planned large, and the system gives its memory out only when it is used.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hostFreeBytes } from '../../../src/engine/host/host-memory.ts';
import { NEGLIGIBLE_SHARE } from '../../../src/engine/load/reserved-plan.ts';
import { enginePid } from '../../support/cli.ts';
import { killAll } from '../../support/processes.ts';
import { makeWideModel, TOKEN_BYTES } from '../../support/wide-model.ts';
import { type LogLine, TestWorker } from '../../support/worker.ts';

const WORKERS = 5;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'several-'));
});
afterEach(async () => {
  await killAll();
  rmSync(folder, { recursive: true });
});

/** A model whose full slot needs a fortieth of the free memory. Returns its arguments. */
async function wideModel(): Promise<string[]> {
  const context = Math.floor((hostFreeBytes() ?? 0) / 40 / TOKEN_BYTES);
  const wide = join(folder, 'wide');
  await makeWideModel(wide, context);
  return ['--model', wide];
}

const start = (args: readonly string[], temporary = folder): TestWorker =>
  new TestWorker({ args, env: { TMPDIR: temporary } });

/** The runtime writes files of its own there too, and a worker its record. */
const reservationFolders = (): string[] =>
  readdirSync(folder).filter((name) => name.startsWith('rbees-workerd-') && existsSync(join(folder, name, 'lock')));

const planOf = (worker: TestWorker): Promise<LogLine> => worker.line('memory.expected');
const neededBy = (plans: readonly LogLine[]): number =>
  plans.reduce((sum, plan) => sum + Number(plan['needed_bytes']), 0);

describe.runIf(process.platform === 'linux')('five workers at once', () => {
  test('plan less than the free memory together, and report what the others have reserved', async () => {
    const model = await wideModel();
    const workers = Array.from({ length: WORKERS }, () => start(model));
    const plans = await Promise.all(workers.map(planOf));
    const byOthers = plans.toSorted((a, b) => Number(a['other_workers'] ?? 0) - Number(b['other_workers'] ?? 0));
    expect(byOthers.map((plan) => plan['other_workers'])).toEqual([undefined, 1, 2, 3, 4]);
    const [first, second] = byOthers;
    expect(neededBy(plans)).toBeLessThan(Number(first?.['available_bytes']));
    for (const plan of plans) expect(plan['slots']).toBe(16);
    // Each takes half of what the others leave.
    expect(Number(second?.['cache_bytes'])).toBeLessThan(Number(first?.['cache_bytes']) * 0.55);
    expect(second?.human).toMatch(/free; 1 other worker reserved [\d.]+ [GM]B$/);

    // The reservation of a killed worker counts for nothing, and its file is removed.
    await Promise.all(workers.map((worker) => worker.line('warmup.done')));
    for (const worker of workers) await worker.kill();
    const next = start(model);
    expect(await planOf(next)).not.toHaveProperty('other_workers');
    const [own = ''] = reservationFolders();
    expect(readdirSync(join(folder, own)).filter((name) => name.endsWith('.json'))).toHaveLength(1);
    expect(await next.stop()).toBe(0);
    expect(readdirSync(join(folder, own))).toEqual(['lock', 'workers']);
  });

  test('keep one reservation each when an engine is killed and starts again', async () => {
    const model = await wideModel();
    // More than half of the free memory: next to the reservation of the killed engine it would not fit.
    const mib = Math.floor(((hostFreeBytes() ?? 0) * 0.55) / 2 ** 20);
    const worker = start([...model, '--cache-memory', `${mib}`]);
    await worker.line('warmup.done');
    const killed = enginePid(worker);
    process.kill(killed, 'SIGKILL');
    await worker.line('engine.restarted');
    const [own = ''] = reservationFolders();
    const files = readdirSync(join(folder, own)).filter((name) => name.endsWith('.json'));
    expect(files).toHaveLength(1);
    expect(JSON.parse(await readFile(join(folder, own, files[0] ?? ''), 'utf8'))).toMatchObject({
      pid: enginePid(worker),
    });
    expect(enginePid(worker)).not.toBe(killed);
    expect(await worker.stop()).toBe(0);
  });

  test('plan with the same memory if no folder can be made, and say so', async () => {
    const model = await wideModel();
    const workers = Array.from({ length: 2 }, () => start(model, '/proc/nowhere'));
    const plans = await Promise.all(workers.map(planOf));
    expect(plans.map((plan) => plan['reserved_bytes'])).toEqual([undefined, undefined]);
    for (const worker of workers)
      expect(await worker.line('memory.unreserved')).toMatchObject({
        level: 'INFO',
        device: 'cpu',
        reason: expect.stringContaining('ENOENT'),
      });
  });

  test('with the embedded model reserve nothing, because it is small', async () => {
    const worker = start([]);
    await worker.line('warmup.done');
    const plan = await planOf(worker);
    const isSmall = Number(plan['needed_bytes']) < Number(plan['available_bytes']) * NEGLIGIBLE_SHARE;
    expect(reservationFolders()).toHaveLength(isSmall ? 0 : 1);
    expect(await worker.stop()).toBe(0);
  });
});
