/**
 * A process of clients that stream without a pause: `node streams.mjs <url> <clients>`. Ends when its stdin
 * closes.
 */
import { Client } from './client.ts';

const HAIKU = { prompt: 'Write a haiku about bees', temperature: 1 };

const [url = '', clients = '1'] = process.argv.slice(2);
const client = new Client(url);
process.stdin.resume().once('end', () => process.exit(0));
await Promise.all(
  Array.from({ length: Number(clients) }, async (_, index) => {
    for (let round = 0; ; round += 1)
      await client.call({ method: 'POST', path: '/execute', body: { ...HAIKU, job_id: `stream-${index}-${round}` } });
  }),
);
