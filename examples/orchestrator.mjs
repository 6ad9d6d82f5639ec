/**
 * An orchestrator in 60 lines: gives each task to the worker with the least load, forwards its events, and
 * goes on with the answer of a lost worker elsewhere, from the ids of its tokens.
 * node examples/orchestrator.mjs [pool-manager=http://127.0.0.1:9100] [port=9200]
 */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { WorkerClient } from 'rbees-workerd/client';

const [manager = 'http://127.0.0.1:9100', port = '9200'] = process.argv.slice(2);
const TRIES = 10;
/** Running jobs of this orchestrator by the address of their worker. */
const own = new Map();

/** Takes the worker with the least load. A worker that does not answer is chosen last. */
async function choose(avoided) {
  const listed = await (await fetch(`${manager}/endpoints`)).json();
  const known = listed.map(async ({ url }) => {
    const client = new WorkerClient({ url });
    const { slots, queue } = await client.health(AbortSignal.timeout(1000)).catch(() => ({}));
    return { url, client, busy: slots && !avoided.has(url) ? slots.busy + queue.length : Number.POSITIVE_INFINITY };
  });
  const workers = await Promise.all(known);
  // From here to the count in one turn: tasks that choose at the same time see each other.
  const load = ({ url, busy }) => Math.max(own.get(url) ?? 0, busy);
  const [best] = workers.sort((a, b) => load(a) - load(b));
  if (!best) throw new Error('No worker is ready.');
  own.set(best.url, (own.get(best.url) ?? 0) + 1);
  return best;
}

/** Runs a task. `send` gets each event once: of a second worker, only those that the first did not have. */
async function run(task, send, signal) {
  const avoided = new Set();
  const limits = { resumeForMs: 250, acceptWithinMs: 60_000, signal };
  for (let [tries, continuation] = [1]; ; tries += 1) {
    let [best, answer] = [];
    try {
      best = await choose(avoided);
      answer = best.client.execute({ ...task, ids: true }, { ...limits, continuation });
      for await (const event of answer) {
        if (event.type === 'error') throw event;
        if (event.type !== 'started' || !continuation) send(event);
      }
      return;
    } catch (error) {
      continuation = answer?.continuation ?? continuation;
      if (signal.aborted || error.retry === 'never' || tries === TRIES) throw error;
      avoided.add(best?.url);
      await sleep(500 * Math.random() * tries);
    } finally {
      if (best) own.set(best.url, own.get(best.url) - 1);
    }
  }
}

const server = createServer(async (request, response) => {
  const left = new AbortController(); // aborts the run, which cancels its job
  response.once('close', () => left.abort());
  const send = (event) => response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
  const fail = ({ code = 'NO_WORKER', message, retry = 'elsewhere' }) => send({ type: 'error', code, message, retry });
  const { resume, ...body } = await json(request).catch(() => ({}));
  response.setHeader('Content-Type', 'text/event-stream');
  if (resume) fail({ code: 'INVALID_REQUEST', message: 'A task must have no "resume".', retry: 'never' });
  else await run({ seed: randomInt(2 ** 47), ...body }, send, left.signal).catch(fail);
  response.end();
});
await once(server.listen(Number(port), '127.0.0.1'), 'listening');
const url = `http://127.0.0.1:${server.address().port}`;
process.stdout.write(`${JSON.stringify({ event: 'orchestrator.listening', url })}\n`);
