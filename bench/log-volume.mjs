/** Bytes of the log and of the stream of one job, by event and by setting. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { execute, section, table } from './measure.mjs';

const CLI = fileURLToPath(new URL('../dist/cli.js', import.meta.url));

const TOKENS = 200;
const JOB = { prompt: 'Write a haiku about the sea', temperature: 1, seed: 1, min_tokens: TOKENS, max_tokens: TOKENS };
/** Name of each column, and flags. */
const SETTINGS = {
  'the defaults': [],
  '`--narration human`': ['--narration', 'human'],
  '`--narration off`': ['--narration', 'off'],
  '`--progress-every 100`': ['--progress-every', '100'],
};
/** The last line of a job. */
const LAST = 'time.explained';

export async function logVolume() {
  const rows = [];
  for (const [name, flags] of Object.entries(SETTINGS)) rows.push([name, ...(await volume(flags))]);
  return section('Volume of the log and of a stream', [
    `One job of ${TOKENS} tokens on a worker without other work. Lines and bytes of stdout with the correlation id of the job. Events and bytes of its stream, and the shares of narration and tokens in the bytes.`,
    table(['', 'lines', 'KB of log', 'events', 'KB of stream', 'narration', 'tokens'], rows),
  ]);
}

async function volume(flags) {
  const args = [CLI, '--port', '0', '--worker-id', 'w0-g1', ...flags];
  // It drains when its stdin closes: it never outlives the benches.
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  let [url, stream] = ['', undefined];
  const logged = [];
  for await (const text of createInterface({ input: child.stdout })) {
    const line = JSON.parse(text);
    if (line.event === 'server.bound') url = line.url;
    // The end of the stream stops the worker, and so ends the log.
    if (line.event === 'warmup.done') stream = streamOf(url).finally(() => child.kill('SIGTERM'));
    logged.push({ line, bytes: Buffer.byteLength(text) + 1 });
  }
  const { correlation, events, total, narration, token } = await stream;
  const own = logged.filter(({ line }) => line.correlation_id === correlation);
  if (own.at(-1)?.line.event !== LAST) throw new Error('The log of the job is not complete.');
  const share = (bytes) => `${((100 * bytes) / total).toFixed(0)} %`;
  const log = own.reduce((sum, { bytes }) => sum + bytes, 0);
  return [own.length, kilobytes(log), events, kilobytes(total), share(narration), share(token)];
}

const kilobytes = (bytes) => (bytes / 1000).toFixed(1);

/** Runs the job and counts the bytes of its events. */
async function streamOf(url) {
  const counted = { correlation: '', events: 0, total: 0, narration: 0, token: 0 };
  await execute(url, JOB, (type, data, _at, id) => {
    const bytes = Buffer.byteLength(`id: ${id}\nevent: ${type}\ndata: ${data}\n\n`);
    if (type === 'started') counted.correlation = JSON.parse(data).correlation_id;
    counted.events += 1;
    counted.total += bytes;
    if (type in counted) counted[type] += bytes;
  });
  return counted;
}
