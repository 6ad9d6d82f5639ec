/**
 * The memory of the KV cache of a model with a context of 131 072 tokens: slots by auto, resident memory
 * against the tokens in use, and sixteen streams against the same model with a short context.
 */
import { readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { engineOptions, freshIds, OpenEngine, sequence } from './engine.mjs';
import { goal, interleaved, ratios, rounds, section, spread, table } from './measure.mjs';
import { longModelFolder, weightFile } from './models.mjs';

const CONTEXT = 131_072;
const SHORT = 1024;
const STREAMS = 16;
/** Lengths of the prompts of the sixteen rows whose memory is counted. */
const MIXED = Array.from({ length: STREAMS }, (_, row) => 16 + 41 * row);
const PROMPT = 448;
const TOKENS = 64;
const ROUNDS = 5;

export async function cacheMemory() {
  const file = realpathSync(join(longModelFolder('q4'), weightFile('q4')));
  const [long, short] = [CONTEXT, SHORT].map((context) => new OpenEngine(engineOptions(file, 'auto', context)));
  try {
    const { slots, rows, cacheBytesPerToken } = long.facts;
    const before = residentRooms();
    const runs = MIXED.map((length, row) => long.run(sequence([row + 1, ...freshIds(length - 1)], 1)));
    await Promise.all(runs);
    const resident = residentRooms() - before;
    const used = MIXED.reduce((sum, length) => sum + length, 0) * cacheBytesPerToken;
    const prompts = Array.from({ length: STREAMS }, (_, row) => [row + 20, ...freshIds(PROMPT - 1)]);
    for (const engine of [long, short]) for (const prompt of prompts) await engine.run(sequence(prompt, 1));
    const { ofLong, ofShort } = await interleaved(rounds(ROUNDS), {
      ofLong: () => decodeRate(long, prompts),
      ofShort: () => decodeRate(short, prompts),
    });
    return section(
      'The memory of the cache',
      [
        `q4 135 M with a context of ${CONTEXT} tokens, whose ${slots} slots and ${rows} rows are ${gigabytes(rows * CONTEXT * cacheBytesPerToken)} of address space. Memory: ${STREAMS} slots with ${MIXED[0]} to ${MIXED.at(-1)} tokens, resident pages of the cache against tokens times ${cacheBytesPerToken} bytes. Speed: ${STREAMS} streams, ${PROMPT} tokens before and ${TOKENS} decoded, against the same model with \`--context ${SHORT}\`.`,
        table(
          ['', 'value'],
          [
            ['slots by auto', slots],
            ['resident memory of the cache', gigabytes(resident)],
            ['tokens in use', gigabytes(used)],
            ['tokens/s, long context', spread(ofLong)],
            ['tokens/s, short context', spread(ofShort)],
          ],
        ),
      ],
      [
        goal(`slots by auto of a model with ${CONTEXT} tokens`, { least: STREAMS, digits: 0 }, [slots]),
        goal('resident memory of the cache against tokens in use, 16 slots', { most: 1.25, unit: '×' }, [
          resident / used,
        ]),
        goal(
          `16 streams: the long context against ${SHORT} tokens`,
          { least: 0.97, unit: '×' },
          ratios(ofLong, ofShort),
        ),
      ],
    );
  } finally {
    long.close();
    short.close();
  }
}

const gigabytes = (bytes) => `${(bytes / 1e9).toFixed(3)} GB`;

/** Resident bytes of the mappings without a reservation of swap (`nr`): the caches of this process. */
function residentRooms() {
  const maps = readFileSync('/proc/self/smaps', 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  const rooms = maps.filter((map) => /^VmFlags:.* nr .*nh/m.test(map));
  return rooms.reduce((sum, map) => sum + Number(/^Rss: +(\d+) kB$/m.exec(map)?.[1] ?? 0) * 1024, 0);
}

/** Tokens per second of all streams, from the first token of the last one to the last token of the first one. */
async function decodeRate(engine, prompts) {
  const outcomes = await Promise.all(prompts.map((prompt) => engine.run(sequence(prompt, TOKENS))));
  const times = outcomes.map(({ sent, tokens }) => tokens.map((at) => sent + at));
  const from = Math.max(...times.map((row) => row[0]));
  const to = Math.min(...times.map((row) => row.at(-1)));
  return (times.flat().filter((at) => at > from && at <= to).length * 1000) / (to - from);
}
