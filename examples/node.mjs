/** A job in ten lines. `node examples/node.mjs "Write a haiku" http://127.0.0.1:8080`: answer on stdout, story on stderr. */
import { WorkerClient } from 'rbees-workerd/client';

const [prompt = 'Write a haiku about the sea', url = 'http://127.0.0.1:8080'] = process.argv.slice(2);
const run = new WorkerClient({ url }).execute({ prompt });
for await (const event of run) {
  if (event.type === 'token') process.stdout.write(event.t);
  if (event.type === 'narration') process.stderr.write(`${event.human}\n`);
}
const { tokens_out, queue_ms, stop_reason } = await run.end();
process.stderr.write(`${tokens_out} tokens, ${queue_ms} ms in the queue, ended by ${stop_reason}\n`);
