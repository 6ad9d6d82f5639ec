/** Workers whose engine is stopped by SIGSTOP while a stream runs in it. */
import { enginePid } from './cli.ts';
import { Listener, longJob } from './listener.ts';
import { startWorker, type TestWorker } from './worker.ts';

/** Starts a stream and stops the engine as soon as the stream has a token. */
export async function stoppedOn(worker: TestWorker, job: object = {}): Promise<{ stream: Listener; engine: number }> {
  const stream = await Listener.open(worker, longJob('running', job));
  await stream.untilToken();
  const engine = enginePid(worker);
  process.kill(engine, 'SIGSTOP');
  return { stream, engine };
}

/** A worker with one slot, a stream that runs in it, and an engine that has just been stopped. */
export async function stopped(...args: string[]): Promise<{ worker: TestWorker; stream: Listener; engine: number }> {
  const worker = await startWorker({ args: ['--slots', '1', ...args] });
  return { worker, ...(await stoppedOn(worker)) };
}
