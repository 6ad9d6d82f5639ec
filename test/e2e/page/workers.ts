/** The workers of the tests of the page, one of each kind for a vitest process. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keep } from '../../support/processes.ts';
import { type Scripts, scriptedModel } from '../../support/scripted-model/model.ts';
import { startWorker, type TestWorker, type WorkerOptions } from '../../support/worker.ts';

const workers = new Map<string, Promise<TestWorker>>();

/** A worker with a scripted model. The worker ends with the vitest process. */
export function scriptedWorker(name: string, scripts: Scripts, options: WorkerOptions = {}): Promise<TestWorker> {
  const known = workers.get(name);
  if (known) return known;
  const worker = start(name, scripts, options);
  workers.set(name, worker);
  return worker;
}

/** The text of `endlessWorker`: the worker needs minutes for it. */
export const ENDLESS_TEXT = 'And so on, one more line of a very long text. '.repeat(10_000);

/** Writes `ENDLESS_TEXT` in its only slot. Nothing waits for a slot. */
export const endlessWorker = (name = 'endless'): Promise<TestWorker> =>
  scriptedWorker(
    name,
    { plain: ENDLESS_TEXT, withTools: '', afterTool: '', context: 2 * ENDLESS_TEXT.length },
    { args: ['--slots', '1', '--queue', '0'] },
  );

async function start(name: string, scripts: Scripts, { args = [], ...options }: WorkerOptions): Promise<TestWorker> {
  const root = mkdtempSync(join(tmpdir(), 'page-'));
  const model = await scriptedModel(join(root, name), scripts);
  const worker = await startWorker({ ...options, args: ['--model', model, ...args] });
  keep(worker.process);
  // The worker opens some files of the model when it first needs them.
  process.once('exit', () => rmSync(root, { recursive: true, force: true }));
  return worker;
}
