/** The silence of sixteen streams whose engine is killed, compared with the restart and the lost prefill. */
import { execFileSync } from 'node:child_process';
import { ask, freshPrompt, gapsOf, goal, job, rounds, section, spread, table } from './measure.mjs';
import { workerFlags } from './models.mjs';
import { startWorker } from './processes.mjs';

const STREAMS = 16;
const PROMPT = 64;
/** Tokens of a stream before the kill, and in total. */
const BEFORE = 100;
const TOKENS = 440;
const ROUNDS = 5;
const PREFILL_FACTOR = 1.2;

export async function engineLoss() {
  const results = [];
  // Each round has a worker of its own: three losses within ten minutes end one.
  while (results.length < rounds(ROUNDS)) results.push(await killOnce());
  const of = (name) => results.map((result) => result[name]);
  const ratio = results.map(({ silence, restart, prefill }) => silence / (restart + PREFILL_FACTOR * prefill));
  return section(
    'Engine lost under streams',
    [
      `q4 135 M, ${STREAMS} streams over HTTP, each with a prompt of ${PROMPT} tokens. SIGKILL of the engine process when each stream has ${BEFORE} tokens or more. Silence: the longest time between two tokens of a stream. Restart: from the kill until \`/ready\` answers 200. Prefill: from the POST of ${STREAMS} new prompts, as long as prompt and output of the streams at the kill, until the last of them has its first token. All streams end, with all their tokens.`,
      table(
        ['longest silence, ms', 'restart, ms', 'prefill of what was lost, ms', 'tokens recomputed'],
        [[spread(of('silence'), 0), spread(of('restart'), 0), spread(of('prefill'), 0), spread(of('lost'), 0)]],
      ),
    ],
    [
      goal(
        `engine killed under ${STREAMS} streams: longest silence against restart + ${PREFILL_FACTOR} × prefill of what was lost`,
        { most: 1 },
        ratio,
      ),
    ],
  );
}

/** Kills the engine of a new worker. Times in milliseconds. */
async function killOnce() {
  const worker = await startWorker([...workerFlags('q4'), '--slots', String(STREAMS), '--context', '512']);
  const counts = Array(STREAMS).fill(0);
  /** Tokens that the next engine computed again, of each stream. */
  const recomputed = [];
  let restart;
  const outcomes = await Promise.all(
    counts.map((_, stream) => {
      const onEvent = (type, data) => {
        if (type === 'token') counts[stream] += 1;
        if (type === 'narration' && JSON.parse(data).event === 'request.resumed')
          recomputed.push(JSON.parse(data).tokens_recomputed);
        if (Math.min(...counts) >= BEFORE) restart ??= killEngine(worker);
      };
      return ask(worker.url, job(freshPrompt(PROMPT), TOKENS), { onEvent });
    }),
  );
  const silence = Math.max(...outcomes.flatMap((outcome) => gapsOf(outcome)));
  if (recomputed.length < STREAMS) throw new Error(`Only ${recomputed.length} streams ran at the kill.`);
  const again = recomputed.map((length) => ask(worker.url, job(freshPrompt(length), 1)));
  const prefill = Math.max(...(await Promise.all(again)).map(({ tokens }) => tokens[0]));
  const lost = recomputed.reduce((sum, length) => sum + length, 0);
  const result = { silence, restart: await restart, prefill, lost };
  await worker.stop();
  return result;
}

/** Kills the engine. Returns the milliseconds until the worker is ready again. */
async function killEngine({ url, pid }) {
  const [engine] = execFileSync('pgrep', ['-P', String(pid), '-f', 'engine/process'], { encoding: 'utf8' }).split('\n');
  const began = performance.now();
  process.kill(Number(engine), 'SIGKILL');
  let wasLost = false;
  for (;;) {
    const { status } = await fetch(`${url}/ready`);
    if (status === 200 && wasLost) return performance.now() - began;
    wasLost ||= status === 503;
  }
}
