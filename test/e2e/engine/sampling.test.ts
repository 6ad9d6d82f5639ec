/** The sampling as a caller sees it: greedy, seeds, lengths, stop strings, templates. */
import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { lastOf } from '../../support/listener.ts';
import { sharedWorker } from '../../support/shared-worker.ts';
import { all, type StreamEvent, type TestWorker, textOf } from '../../support/worker.ts';

let worker: TestWorker;
beforeAll(async () => {
  worker = await sharedWorker();
});

const run = (body: object): Promise<StreamEvent[]> =>
  worker.execute({ job_id: randomUUID(), prompt: 'Write a haiku about the sea', ...body });
const text = async (body: object): Promise<string> => textOf(await run(body));

describe('seeds', () => {
  test('temperature 0 gives the same text for every seed', async () => {
    const first = await text({ temperature: 0, max_tokens: 40 });
    expect(first.length).toBeGreaterThan(10);
    expect(await text({ temperature: 0, max_tokens: 40, seed: 1 })).toBe(first);
    expect(await text({ temperature: 0, max_tokens: 40, seed: 2 })).toBe(first);
  });

  test('the same seed repeats the text, another seed gives another text', async () => {
    const drawn = { temperature: 1, min_tokens: 40, max_tokens: 40 };
    const first = await text({ ...drawn, seed: 11 });
    expect(await text({ ...drawn, seed: 11 })).toBe(first);
    expect(await text({ ...drawn, seed: 12 })).not.toBe(first);
    expect(await text({ ...drawn, seed: 0 })).not.toBe(first);
  });

  test('the largest seed keeps its last digit', async () => {
    const drawn = { temperature: 1, min_tokens: 40, max_tokens: 40 };
    const last = await run({ ...drawn, seed: Number.MAX_SAFE_INTEGER });
    expect(lastOf(last)['seed']).toBe(Number.MAX_SAFE_INTEGER);
    expect(textOf(last)).not.toBe(await text({ ...drawn, seed: Number.MAX_SAFE_INTEGER - 1 }));
  });

  test('a missing seed is drawn and reported, and repeats the text when it is sent', async () => {
    const drawn = { temperature: 1, min_tokens: 30, max_tokens: 30 };
    const first = await run(drawn);
    const seed = all(first, 'started')[0]?.['seed'];
    expect(seed).toBe(lastOf(first)['seed']);
    expect(Number.isSafeInteger(seed)).toBe(true);
    const again = await run({ ...drawn, seed });
    expect(textOf(again)).toBe(textOf(first));
    expect(all(await run(drawn), 'started')[0]?.['seed']).not.toBe(seed);
  });
});

describe('lengths', () => {
  test.each([1, 2, 17])('max_tokens %i limits the output', async (most) => {
    const end = lastOf(await run({ min_tokens: most, max_tokens: most }));
    expect(end).toMatchObject({ type: 'end', tokens_out: most, stop_reason: 'max_tokens' });
  });

  test('min_tokens delays the end', async () => {
    const free = lastOf(await run({ temperature: 0, max_tokens: 200 }));
    expect(free).toMatchObject({ stop_reason: 'eos' });
    const held = lastOf(await run({ temperature: 0, min_tokens: 120, max_tokens: 200 }));
    expect(Number(free['tokens_out'])).toBeLessThan(120);
    expect(Number(held['tokens_out'])).toBeGreaterThanOrEqual(120);
  });

  test('the end-of-sequence token is not part of the output', async () => {
    const events = await run({ temperature: 0, max_tokens: 200 });
    expect(textOf(events)).not.toContain('<|');
  });
});

describe('stop strings', () => {
  const greedy = { temperature: 0, min_tokens: 60, max_tokens: 60 };
  let whole: string;
  let pieces: string[];
  beforeAll(async () => {
    const events = await run(greedy);
    whole = textOf(events);
    pieces = all(events, 'token').map((token) => String(token['t']));
  });

  test('end the output before them, across the borders of tokens', async () => {
    // Every stop string that begins inside one piece and ends inside a later one.
    for (const start of [3, 11, 20]) {
      const stop = whole.slice(start, start + 9);
      const covering = pieces.filter((piece) => stop.includes(piece) && piece.length < stop.length);
      expect(covering.length).toBeGreaterThan(0);
      const events = await run({ ...greedy, stop: [stop] });
      expect(lastOf(events)).toMatchObject({ type: 'end', stop_reason: 'stop_sequence', stop_sequence_matched: stop });
      expect(textOf(events)).toBe(whole.slice(0, whole.indexOf(stop)));
      expect(Number(lastOf(events)['tokens_out'])).toBeLessThan(60);
    }
  });

  test('do not appear if they are the first text', async () => {
    const stop = whole.slice(0, 5);
    const events = await run({ ...greedy, stop: [stop] });
    expect(textOf(events)).toBe('');
    expect(all(events, 'token')).toEqual([]);
    expect(lastOf(events)).toMatchObject({ stop_reason: 'stop_sequence', stop_sequence_matched: stop });
  });

  test('the one of four that is complete first ends the output', async () => {
    const [early, late] = [whole.slice(10, 13), whole.slice(25, 31)];
    const events = await run({ ...greedy, stop: ['ZZZZ', late, early, '\u{1F41D}'] });
    expect(lastOf(events)['stop_sequence_matched']).toBe(early);
    expect(textOf(events)).toBe(whole.slice(0, whole.indexOf(early)));
  });

  test('one that stays incomplete changes nothing, even if its beginning was held back', async () => {
    const almost = `${whole.slice(-3)}\u{1F41D}`;
    const events = await run({ ...greedy, stop: [almost, `${whole.slice(4, 9)}Q`] });
    expect(textOf(events)).toBe(whole);
    expect(lastOf(events)).toMatchObject({ stop_reason: 'max_tokens', tokens_out: 60 });
  });

  test('free the slot: the engine stops', async () => {
    await run({ min_tokens: 480, max_tokens: 480, temperature: 0, stop: [whole.slice(0, 5)] });
    const { slots } = (await (await worker.get('/health')).json()) as { slots: { busy: number } };
    expect(slots.busy).toBe(0);
  });
});

describe('templates', () => {
  const greedy = { temperature: 0, max_tokens: 20 };

  test('a prompt is one user message', async () => {
    const prompt = 'Write a haiku about the moon';
    const asMessages = await run({ ...greedy, prompt: undefined, messages: [{ role: 'user', content: prompt }] });
    expect(textOf(asMessages)).toBe(await text({ ...greedy, prompt }));
  });

  test('raw uses the prompt without a template', async () => {
    const wrapped = await run({ ...greedy, prompt: 'The sea' });
    const raw = await run({ ...greedy, prompt: 'The sea', raw: true });
    expect(Number(lastOf(raw)['tokens_in'])).toBeLessThan(Number(lastOf(wrapped)['tokens_in']));
  });

  test('a conversation counts more tokens than its last message', async () => {
    const last = { role: 'user', content: 'And of the wind?' };
    const short = lastOf(await run({ ...greedy, prompt: undefined, messages: [last] }));
    const earlier = [
      { role: 'user', content: 'Tell me of the sea' },
      { role: 'assistant', content: 'The sea is wide' },
    ];
    const long = lastOf(await run({ ...greedy, prompt: undefined, messages: [...earlier, last] }));
    expect(Number(long['tokens_in'])).toBeGreaterThan(Number(short['tokens_in']));
  });
});

test('parameters that leave one id give the greedy text', async () => {
  const greedy = await text({ temperature: 0, max_tokens: 25 });
  for (const narrow of [{ top_k: 1 }, { top_p: 0 }, { min_p: 1 }])
    expect(await text({ ...narrow, temperature: 2, max_tokens: 25, seed: 9 })).toBe(greedy);
});
