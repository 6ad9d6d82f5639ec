/** `logit_bias` and `ignore_eos` of `POST /execute`. */
import { beforeAll, describe, expect, test } from 'vitest';
import { lastOf } from '../../support/listener.ts';
import { sharedWorker } from '../../support/shared-worker.ts';
import { all, type StreamEvent, type TestWorker, textOf } from '../../support/worker.ts';

let worker: TestWorker;
beforeAll(async () => {
  worker = await sharedWorker();
});

const sea = { job_id: 'bias', prompt: 'The sea', raw: true, temperature: 0, max_tokens: 12, logprobs: 0 };
/** The ids of a stream. A token event has the scores of the tokens before it in `earlier`. */
const idsOf = (events: readonly StreamEvent[]): number[] =>
  all(events, 'token').flatMap(({ id, earlier = [] }) => [
    ...(earlier as { id: number }[]).map((one) => one.id),
    Number(id),
  ]);

describe('logit_bias', () => {
  test('bans a token with -100, forces one with 100, and changes nothing when it is null or empty', async () => {
    const natural = idsOf(await worker.execute(sea));
    const banned = natural[0]!;
    const without = idsOf(await worker.execute({ ...sea, logit_bias: { [banned]: -100 } }));
    expect(without).toHaveLength(12);
    expect(without).not.toContain(banned);
    const forced = idsOf(await worker.execute({ ...sea, logit_bias: { [natural[5]!]: 100 } }));
    expect(forced).toEqual(Array(12).fill(natural[5]));
    for (const logit_bias of [null, {}]) expect(idsOf(await worker.execute({ ...sea, logit_bias }))).toEqual(natural);
  });

  test('is refused for an id that the model lacks; the answer names field and id', async () => {
    const response = await worker.post('/execute', { ...sea, logit_bias: { 5: 1, 4096: 1, 999999999: 1 } });
    expect(response.status).toBe(400);
    const { error } = (await response.json()) as { error: { errors: object[] } };
    expect(error.errors).toEqual(
      [4096, 999999999].map((id) => ({
        field: `logit_bias.${id}`,
        constraint: 'vocabulary',
        message: `logit_bias.${id} must be an id of the model, but its ids end at 1023`,
        value: id,
      })),
    );
  });

  test('is refused as a whole, without the names that it has', async () => {
    const response = await worker.post('/execute', { ...sea, logit_bias: { xyzzy: 1, plugh: 'x' } });
    const text = await response.text();
    expect([response.status, text]).toEqual([400, expect.not.stringMatching(/xyzzy|plugh/)]);
    expect(JSON.parse(text).error.errors).toEqual([
      {
        field: 'logit_bias',
        constraint: 'format',
        message: 'logit_bias must be an object of at most 1024 token ids, each with a number from -100 to 100',
      },
    ]);
  });
});

describe('ignore_eos', () => {
  const haiku = { job_id: 'eos', prompt: 'Write a haiku about the sea', seed: 42, max_tokens: 100 };

  test('continues after the end of sequence, up to max_tokens', async () => {
    const usual = await worker.execute(haiku);
    const { tokens_out } = lastOf(usual);
    expect(lastOf(usual)).toMatchObject({ type: 'end', stop_reason: 'eos' });
    expect(Number(tokens_out)).toBeLessThan(100);
    const longer = await worker.execute({ ...haiku, ignore_eos: true });
    expect(lastOf(longer)).toMatchObject({ type: 'end', stop_reason: 'max_tokens', tokens_out: 100 });
    expect(textOf(longer).startsWith(textOf(usual))).toBe(true);
    expect(textOf(longer)).not.toMatch(/<\||<\/s>/);
    for (const ignore_eos of [false, null])
      expect(lastOf(await worker.execute({ ...haiku, ignore_eos }))).toMatchObject({ tokens_out });
  });

  test('still ends at a stop string', async () => {
    const text = textOf(await worker.execute(haiku));
    const stop = text.trim().split(' ')[1]!;
    const stopped = await worker.execute({ ...haiku, ignore_eos: true, stop: [stop] });
    expect(lastOf(stopped)).toMatchObject({ stop_reason: 'stop_sequence', stop_sequence_matched: stop });
  });
});
