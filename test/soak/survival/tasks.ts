/**
 * Requests with a known text, drawn from a seed: all kinds of state that a continuation must restore. Their
 * texts are learnt on a worker that nothing disturbs.
 */
import fc from 'fast-check';
import type { Client } from '../client.ts';
import { type Reading, readingOf } from './reading.ts';

/** A body of `POST /execute` without `job_id`. It has a seed. */
export type Task = Readonly<Record<string, unknown>>;

/** A task and its undisturbed output. */
export interface KnownTask {
  readonly task: Task;
  readonly alone: Reading;
}

/** Sizes of the tasks: words of a prompt, and tokens of an output. */
export interface Sizes {
  readonly words: readonly [number, number];
  readonly tokens: readonly [number, number];
}

const WORDS = ['sea', 'old', 'pond', 'rain', 'moon', 'bee', 'snow', 'frog', 'the', 'a', 'in', 'of', 'night', 'leaf'];
const LIST = { type: 'array', items: { type: 'integer', minimum: 0, maximum: 999 }, minItems: 30, maxItems: 30 };
const PERSON = {
  type: 'object',
  properties: {
    name: { type: 'string', minLength: 20, maxLength: 40 },
    lines: { type: 'array', items: { type: 'string', minLength: 10, maxLength: 30 }, minItems: 4, maxItems: 4 },
  },
  required: ['name', 'lines'],
  additionalProperties: false,
};

/** The parts of a request besides its prompt and its length. A form decides the length itself. */
const KINDS: readonly Task[] = [
  { temperature: 0 },
  { temperature: 1 },
  { temperature: 1 },
  { temperature: 0, frequency_penalty: 0.5, repetition_penalty: 1.2 },
  { temperature: 1, logprobs: 3, top_k: 50 },
  { temperature: 1.2, presence_penalty: 0.5, stop: ['\u2603', 'the sea and the sea and the sea'] },
  { temperature: 1, top_p: 0.9, min_p: 0.01, logit_bias: { 40: 3 } },
  { temperature: 1, schema: LIST },
  { temperature: 1, schema: PERSON },
];

/**
 * The tasks of a seed, `rounds` of each kind.
 * @param rounds at least 1
 */
export function drawTasks(seed: number, rounds: number, { words, tokens }: Sizes): Task[] {
  const count = rounds * KINDS.length;
  const some = fc.record({
    seed: fc.integer({ min: 0, max: 2 ** 31 }),
    length: fc.integer({ min: tokens[0], max: tokens[1] }),
    prompt: fc.array(fc.constantFrom(...WORDS), { minLength: words[0], maxLength: words[1], size: 'max' }),
  });
  return fc.sample(some, { seed, numRuns: count }).map(({ seed: own, length, prompt }, index) => {
    const kind = KINDS[index % KINDS.length] ?? {};
    const free = 'schema' in kind ? {} : { min_tokens: length };
    const text = `Tell number ${index} of ${prompt.join(' ')}`;
    return { prompt: text, raw: true, seed: own, max_tokens: length, ...free, ...kind };
  });
}

/** Runs tasks one after the other where nothing disturbs them. @throws Error if one fails */
export async function learn(client: Client, path: string, tasks: readonly Task[]): Promise<KnownTask[]> {
  const known: KnownTask[] = [];
  for (const [index, task] of tasks.entries()) {
    const went = await client.call({ method: 'POST', path, body: { ...task, job_id: `alone-${index}` } });
    const alone = readingOf(went);
    if (alone.last?.type !== 'end')
      throw new Error(`A task failed without any fault: ${JSON.stringify(alone.last ?? went)}`);
    known.push({ task, alone });
  }
  return known;
}

/** Draws numbers from 0 to `below` - 1 in an order that the seed decides. */
export function drawNumbers(seed: number, count: number, below: number): number[] {
  return fc.sample(fc.integer({ min: 0, max: below - 1 }), { seed, numRuns: count });
}
