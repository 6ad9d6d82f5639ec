/** Asks the workers of a pool for their states. */

const ANSWER_MS = 1000;
/** Requests at the same time. */
const AT_ONCE = 250;

/**
 * Asks each worker for `/ready`. Sets `state` (`ready` or `drain`) and `answeredAt` of those that answer. One
 * that is silent for a moment keeps its state: routers have checks of their own, and all may be busy.
 *
 * @param leaving worker ids, also of workers that are added meanwhile: these drain, although they are ready
 */
export async function probe(workers, leaving) {
  for (let at = 0; at < workers.length; at += AT_ONCE) {
    await Promise.all(workers.slice(at, at + AT_ONCE).map((worker) => ask(worker, leaving)));
  }
}

async function ask(worker, leaving) {
  const request = { signal: AbortSignal.timeout(ANSWER_MS), redirect: 'manual' };
  const answer = await fetch(`${worker.url}/ready`, request).catch(() => undefined);
  await answer?.body?.cancel();
  const isReady = answer?.ok && !leaving.has(worker.worker_id);
  if (answer) Object.assign(worker, { answeredAt: Date.now(), state: isReady ? 'ready' : 'drain' });
}
