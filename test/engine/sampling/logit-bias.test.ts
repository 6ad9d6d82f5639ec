/** The logit bias: the first rule of the sampler. */
import { afterAll, describe, expect, it } from 'vitest';
import { checkRequest } from '../../../src/engine/check-request.ts';
import { Sampler } from '../../../src/engine/sampling/sampler.ts';
import { Sequence } from '../../../src/engine/sequence.ts';
import { MAX_LOGIT_BIASES } from '../../../src/protocol/logit-bias.ts';
import { Bench, equalCosts, prompt, request } from '../harness.ts';

const VOCAB = 48;
const sampler = new Sampler(VOCAB);
const ramp = Float32Array.from({ length: VOCAB }, (_, id) => Math.sin(id * 1.7) * 3);
const likeliest = ramp.indexOf(Math.max(...ramp));

const draw = (asked: Parameters<typeof request>[0], output: number[] = []) => {
  const sequence = new Sequence(request({ maxTokens: 50, ...asked }), 0);
  for (const id of output) sequence.accept({ id }, 0);
  return sampler.sample(ramp, sequence);
};

describe('a bias', () => {
  it('forces an id with +100 and bans one with -100, greedily and with a temperature', () => {
    for (const temperature of [0, 1]) {
      expect(draw({ sampling: { temperature }, logitBias: [[7, 100]] }).id).toBe(7);
      const all = Array.from({ length: VOCAB }, (_, id) => [id, -100] as const).filter(([id]) => id !== 9);
      expect(draw({ sampling: { temperature }, logitBias: all }).id).toBe(9);
    }
    expect(draw({ logitBias: [[likeliest, -100]] }).id).not.toBe(likeliest);
  });

  it('is added to the logit: the draw follows the distribution of the sums', () => {
    const biases = [
      [3, 1.5],
      [11, -2],
    ] as const;
    const sums = ramp.slice();
    for (const [id, bias] of biases) sums[id]! += bias;
    for (let seed = 0; seed < 200; seed++) {
      const sampling = { temperature: 0.8, topP: 0.9, seed };
      const plain = new Sequence(request({ sampling }), 0);
      expect(draw({ sampling, logitBias: biases }).id).toBe(sampler.sample(sums, plain).id);
    }
  });

  it('comes before the penalties: the penalty multiplies or divides the sum', () => {
    // Id 5 has 10, divided by 2: 5. Added later, the bias would leave it at the top.
    const logits = new Float32Array(VOCAB);
    logits[6] = 7;
    const sequence = new Sequence(
      request({ prompt: [5], logitBias: [[5, 10]], sampling: { repetitionPenalty: 2 } }),
      0,
    );
    expect(sampler.sample(logits, sequence).id).toBe(6);
  });

  it('does not bring back an end id before min_tokens', () => {
    const ended = { endIds: [4], logitBias: [[4, 100]] as const };
    expect(draw({ ...ended, minTokens: 2 }).id).not.toBe(4);
    expect(draw({ ...ended, minTokens: 2 }, [8, 8]).id).toBe(4);
  });

  it('does not change the reported log-probabilities', () => {
    const plain = draw({ logprobs: VOCAB });
    const biased = draw({ logprobs: VOCAB, logitBias: [[7, 100]] });
    expect(biased.top).toEqual(plain.top);
    expect(biased.logprob).toBe(plain.top?.find(({ id }) => id === 7)?.logprob);
  });
});

describe('an engine', () => {
  equalCosts();
  const plain = new Bench({ slots: 1, speculation: 'off' });
  const drafting = new Bench({ slots: 1, speculation: 'on' });
  afterAll(() => {
    for (const bench of [plain, drafting]) bench.engine.close();
  });

  it('verifies drafts against the biased draws', async () => {
    const repeated = Array.from({ length: 60 }, (_, index) => [17, 42, 99][index % 3]!);
    const natural = (await plain.run({ prompt: repeated, maxTokens: 40 })).ids;
    const asked = { prompt: repeated, maxTokens: 40, logitBias: [[natural[3]!, -100]] as const };
    const expected = await plain.run(asked);
    const drafted = await drafting.run(asked);
    expect(expected.ids).not.toEqual(natural);
    expect(expected.ids).not.toContain(natural[3]);
    expect(drafted.ids).toEqual(expected.ids);
    const forced = await drafting.run({ prompt: prompt(9), maxTokens: 40, logitBias: [[77, 100]] });
    expect(new Set(forced.ids)).toEqual(new Set([77]));
    expect(forced.finish.accepted).toBeGreaterThan(0);
  });

  it('refuses ids outside of the model, biases out of range, and too many', () => {
    const limits = { vocabSize: 1024, idLimit: 1000, context: 256 };
    const check = (logitBias: readonly (readonly [number, number])[]) => checkRequest(request({ logitBias }), limits);
    expect(check([[999, 100]])).toBeUndefined();
    expect(check([[1000, 1]])).toBe('logitBias has an id outside the vocabulary of 1000: 1000');
    expect(check([[-1, 1]])).toContain('-1');
    expect(check([[5, 100.5]])).toBe('logitBias of id 5 must be a number from -100 to 100, not 100.5');
    expect(check([[5, Number.NaN]])).toContain('NaN');
    const many = Array.from({ length: MAX_LOGIT_BIASES }, (_, id) => [id % 1000, 1] as const);
    expect(check(many)).toBeUndefined();
    expect(check([...many, [1, 1]])).toContain(`at most ${MAX_LOGIT_BIASES}`);
  });
});
