/** The time to the first token of the second turn of a chat whose first turn is still in its slot. */
import { ask, freshPrompt, goal, job, ratios, rounds, section, spread, table } from './measure.mjs';
import { workerFlags } from './models.mjs';
import { startWorker } from './processes.mjs';

const ROUNDS = 5;
const HISTORY = 1000;
const TURN = 32;

export async function secondTurn() {
  const worker = await startWorker([...workerFlags('q4'), '--slots', '4', '--context', '1280']);
  const [cold, second] = [[], []];
  await timed(worker.url, freshPrompt(HISTORY));
  for (let round = 0; round < rounds(ROUNDS); round += 1) {
    const history = freshPrompt(HISTORY);
    cold.push(await timed(worker.url, history + freshPrompt(TURN), 0));
    second.push(await timed(worker.url, history + freshPrompt(TURN), HISTORY));
  }
  await worker.stop();
  const ratio = ratios(second, cold);
  return section(
    'The second turn of a chat',
    [
      `q4 135 M, over HTTP, one request at a time: ${HISTORY} tokens of history and ${TURN} of a new turn. Cold: the worker has never seen the history. Second turn: the same history and another new turn; the slot still holds the history (\`cached_tokens\` is checked).`,
      table(
        ['time to first token', 'ms'],
        [
          ['cold', spread(cold)],
          ['second turn', spread(second)],
          ['ratio', spread(ratio, 3)],
        ],
      ),
    ],
    [
      goal(
        `second turn of a chat, ${HISTORY}-token history: time to first token against cold`,
        { most: 0.15, unit: '×', digits: 3 },
        ratio,
      ),
    ],
  );
}

/**
 * Milliseconds to the first token. The cache may hold a few tokens more than the history: two new turns can
 * have the same beginning.
 */
async function timed(url, prompt, cached = 0) {
  const { tokens, end } = await ask(url, job(prompt, 2));
  if (end.tokens_in !== prompt.length || end.cached_tokens < cached || end.cached_tokens > cached + TURN / 2)
    throw new Error(`The turn differs from the plan (${cached} cached): ${JSON.stringify(end)}`);
  return tokens[0];
}
