/** A worker and its faulty proxies for `scenario.mjs`, and the result that every runtime must get. */

import { freePort } from '../free-port.ts';
import { startWorker, type TestWorker } from '../worker.ts';
import { FaultyProxy } from './faulty-proxy.ts';

/** Bytes that are the head of an answer and a part of the first events. */
const SOME_EVENTS = 2000;

export interface Scene {
  readonly worker: TestWorker;
  /** The argument of the scenario. Its faults happen once. */
  readonly urls: Readonly<Record<string, string>>;
  /** The proxy that loses the answer of the `POST`. */
  readonly losing: FaultyProxy;
  close(): Promise<void>;
}

/** @param args more settings of the worker */
export async function openScene(args: readonly string[] = []): Promise<Scene> {
  // A job without a reader ends by a cancel only.
  const worker = await startWorker({ args: ['--slots', '4', '--detach-timeout', '3600', ...args] });
  const proxies = await Promise.all([
    FaultyProxy.start(worker.url, { cutAfter: [SOME_EVENTS] }),
    FaultyProxy.start(worker.url, { cutAfter: [0] }),
    FaultyProxy.start(worker.url, { stallAfter: [SOME_EVENTS] }),
  ]);
  const [cutting, losing, silent] = proxies;
  return {
    worker,
    losing,
    urls: {
      worker: worker.url,
      cutting: cutting.url,
      losing: losing.url,
      silent: silent.url,
      nowhere: `http://127.0.0.1:${await freePort()}`,
    },
    close: async () => {
      await Promise.all(proxies.map((proxy) => proxy.close()));
      await worker.stop();
    },
  };
}

/** The result of the scenario, without its text. */
export const EXPECTED = {
  tokens: 60,
  told: true,
  resumed: true,
  found: true,
  unstalled: true,
  attached: true,
  refused: [true, 404, 'NOT_FOUND'],
  unreachable: true,
  aborted: 'enough',
  left: true,
  running: 0,
  status: 'healthy',
};
