/**
 * A pool-manager in 60 lines: spawns workers, lists the ready ones, restarts dead ones, drains all at its end.
 * node examples/pool-manager.mjs [workers=2] [port=9100] [flags of every worker…]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const CLI = fileURLToPath(new URL('dist/cli.js', import.meta.resolve('rbees-workerd/package.json')));
const [count = '2', port = '9100', ...flags] = process.argv.slice(2);
/** Ready workers by worker id: the answer of `GET /endpoints`. */
const table = new Map();
const children = new Set();
let stopping = false;
const say = (event, fields) => process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);

/** Keeps one place filled: starts the next worker when one has died, later after each failed start. */
async function keep(place, url) {
  for (let [generation, failures] = [1, 0]; !stopping; generation += 1) {
    const id = `w${place}-g${generation}`;
    const own = ['--worker-id', id, '--port', '0', '--callback-url', `${url}/ready`];
    // stdin is a pipe: the worker drains when this process dies.
    const child = spawn(process.execPath, [CLI, ...own, ...flags], { stdio: ['pipe', 'inherit', 'inherit'] });
    children.add(child);
    const [code, signal] = await once(child, 'exit');
    children.delete(child);
    failures = table.delete(id) ? 0 : failures + 1;
    say('manager.worker_exited', { worker_id: id, code, signal });
    if (code === 2) await stop(2); // The flags are wrong: no restart can help.
    await sleep(failures && Math.min(500 * 2 ** failures, 30_000));
  }
}

/** The ready callback of a worker. Any 2xx tells the worker that it arrived. */
async function receive(request) {
  const { worker_id, url, pid, slots } = await json(request);
  table.set(worker_id, { worker_id, url, pid, slots });
  say('manager.worker_ready', { worker_id, url });
}

const server = createServer(async (request, response) => {
  if (request.url === '/ready') await receive(request);
  response.end(request.url === '/endpoints' ? JSON.stringify([...table.values()]) : '');
});
await once(server.listen(Number(port), '127.0.0.1'), 'listening');
const url = `http://127.0.0.1:${server.address().port}`;
for (let place = 0; place < Number(count); place += 1) keep(place, url);
say('manager.listening', { url });

/** Workers whose stdin ends drain: their streams go on to the end. */
async function stop(code) {
  stopping = true;
  for (const child of children) child.stdin.end();
  while (children.size > 0) await sleep(50);
  process.exit(code);
}
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => stop(0));
