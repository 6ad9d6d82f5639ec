/** Bytes of the log and of the stream of one job, by event and by setting. */
import { execute, section, table } from './measure.mjs';
import { startWorker } from './processes.mjs';

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
  const worker = await startWorker(['--worker-id', 'w0-g1', ...flags], { keepsLog: true });
  const stream = { events: 0, total: 0, narration: 0, token: 0 };
  let correlation;
  await execute(worker.url, JOB, (type, data, _at, id) => {
    const bytes = Buffer.byteLength(`id: ${id}\nevent: ${type}\ndata: ${data}\n\n`);
    if (type === 'started') correlation = JSON.parse(data).correlation_id;
    stream.events += 1;
    stream.total += bytes;
    if (type in stream) stream[type] += bytes;
  });
  await worker.stop(); // Its stdout is complete.
  const lines = (await worker.log).filter((line) => JSON.parse(line).correlation_id === correlation);
  const told = lines.some((line) => JSON.parse(line).event === LAST);
  if (!told) throw new Error('The log of the job is not complete.');
  const kb = (bytes) => (bytes / 1000).toFixed(1);
  const share = (bytes) => `${((100 * bytes) / stream.total).toFixed(0)} %`;
  const logged = lines.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0);
  return [lines.length, kb(logged), stream.events, kb(stream.total), share(stream.narration), share(stream.token)];
}
