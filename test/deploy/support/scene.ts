/** Three workers behind a load balancer, and requests to them through it. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect } from 'vitest';
import { Listener, longJob } from '../../support/listener.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';
import { arrivalOf } from './pieces.ts';
import type { LoadBalancer } from './proxies.ts';

export const TOKEN = 'token-of-the-workers';
export const AUTHORIZED = { Authorization: `Bearer ${TOKEN}` } as const;
export const SLOTS = 2;
export const QUEUE = 2;
/** `WORKER_CONNECTIONS` of haproxy.cfg: slots, queue, and some places more. */
export const WORKER_CONNECTIONS = String(SLOTS + QUEUE + 16);
/** Part of the pieces of a direct connection that a proxy must deliver. Other load joins pieces on both ways. */
export const LEAST_PART = 0.6;
/** A machine under load joins pieces by chance, so a proxy has some tries to show that it does not. */
const TRIES = 8;

/** A proxy and its workers. */
export interface Scene {
  proxy: LoadBalancer;
  workers: TestWorker[];
}

export const NAMES = ['first', 'second', 'third'] as const;

export function startNamed(name: string): Promise<TestWorker> {
  const args = ['--worker-id', name, '--slots', String(SLOTS), '--queue', String(QUEUE), '--shutdown-timeout', '600'];
  return startWorker({ args, env: { RBEES_API_TOKEN: TOKEN } });
}

/** Starts three workers and the proxy before the tests of a file, and ends them after. */
export function openScene(start: (workers: readonly TestWorker[]) => Promise<LoadBalancer>): Scene {
  const scene = { workers: [] } as unknown as Scene;
  beforeAll(async () => {
    scene.workers = await Promise.all(NAMES.map(startNamed));
    scene.proxy = await start(scene.workers);
  });
  afterAll(async () => {
    await scene.proxy?.stop();
    await Promise.all(scene.workers.map((worker) => worker.kill()));
  });
  return scene;
}

/** The pieces of a stream of 480 tokens through a proxy, as a part of those of a direct connection: the best try. */
export async function partOfPieces({ proxy, workers }: Scene, most = TRIES): Promise<number> {
  const [worker] = workers;
  if (!worker) throw new Error('There is no worker.');
  let best = 0;
  for (let tries = 0; tries < most && best < LEAST_PART; tries += 1) {
    const job = () => ({ ...longJob(randomUUID()), seed: tries });
    const direct = await arrivalOf(worker.url, job(), AUTHORIZED);
    const through = await arrivalOf(proxy.url, job(), AUTHORIZED);
    expect(direct.text).toContain('event: end');
    expect(through.text).toContain('event: end');
    best = Math.max(best, through.pieces / direct.pieces);
  }
  return best;
}

/** Sends a body to a path of the proxy. */
export const post = (
  { proxy }: Scene,
  path: string,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> =>
  fetch(proxy.url + path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...AUTHORIZED, ...headers },
    body: JSON.stringify(body),
  });

const JSON_HEADERS = { 'Content-Type': 'application/json', ...AUTHORIZED } as const;

/** Opens the stream of a job through the proxy. */
export const listen = ({ proxy }: Scene, body: object): Promise<Listener> =>
  Listener.post(`${proxy.url}/execute`, body, JSON_HEADERS);

/** The worker that runs the job of a stream. */
export async function workerOf({ workers }: Scene, stream: Listener): Promise<TestWorker> {
  const { data } = await stream.until((event) => event.data.type === 'started');
  const found = workers[NAMES.indexOf(data['worker_id'] as never)];
  if (!found) throw new Error(`No worker is ${String(data['worker_id'])}.`);
  return found;
}

/** The events of a job after `after`, through the proxy. */
export const readOn = ({ proxy }: Scene, jobId: string, after: string): Promise<Response> =>
  fetch(`${proxy.url}/jobs/${encodeURIComponent(jobId)}/events`, {
    headers: { ...AUTHORIZED, 'Last-Event-ID': after },
  });

/** A job of 20 tokens. */
export const shortJob = (more: object = {}): object => ({
  ...longJob(randomUUID()),
  min_tokens: 20,
  max_tokens: 20,
  ...more,
});
