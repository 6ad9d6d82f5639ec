/** The cost of one call of narrate(), with both sinks. */
import { createWriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import { narrate, runIn, startNarration } from '../dist/narration/narrate.js';
import { openStdout } from '../dist/narration/stdout.js';
import { section, spread, table } from './measure.mjs';
import { logReadInto, nowhere } from './read-log.mjs';

const CALLS = 20_000;
const ROUNDS = 15;

export async function narrateCall() {
  const stdout = openStdout({ level: 'info', format: 'json' }, createWriteStream('/dev/null'));
  startNarration({ workerId: 'bench', version: '0', stdout, count: () => undefined });
  const facts = { tokens_out: 10, tokens_per_sec: 812.5, decode_time_ms: 12.3, batch_size: 1 };
  const [lines, both] = [[], []];
  for (let round = 0; round < ROUNDS; round += 1) {
    lines.push(await timed(() => narrate('tokens.progress', facts)));
    const answer = nowhere();
    const stream = logReadInto(answer);
    const onNarration = (narration) => stream.emit({ type: 'narration', ...narration });
    both.push(
      await runIn({ correlationId: 'req-1', jobId: 'job-1', onNarration }, () =>
        timed(() => narrate('tokens.progress', facts)),
      ),
    );
    stream.emit({ type: 'error', code: 'CANCELLED', message: '', retriable: false });
    await finished(answer);
  }
  return section('One call of narrate()', [
    `Microseconds per call, ${CALLS} calls a round, ${ROUNDS} rounds. The log goes to /dev/null, the stream to a subscriber.`,
    table(
      ['sink', 'µs'],
      [
        ['stdout', spread(lines)],
        ["stdout and the request's stream", spread(both)],
      ],
    ),
  ]);
}

/** Microseconds per call; the event loop turns every hundred calls, as it does between steps. */
async function timed(call) {
  const began = performance.now();
  for (let index = 0; index < CALLS; index += 1) {
    call();
    if (index % 100 === 99) await new Promise(setImmediate);
  }
  return ((performance.now() - began) * 1000) / CALLS;
}
