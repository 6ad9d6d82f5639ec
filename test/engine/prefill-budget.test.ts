import { describe, expect, it } from 'vitest';
import { CostModel } from '../../src/engine/cost-model.ts';
import { PrefillBudget } from '../../src/engine/prefill-budget.ts';

/**
 * The costs of a machine: a run of n tokens of one row takes `base + each · n` ms, and one of n rows `step +
 * row · n`.
 */
function machine({ base = 10, each = 2, step = 10, row = 3 } = {}): CostModel {
  const costs = new CostModel();
  for (const count of [2, 4, 8, 16, 32, 64, 128, 256, 512]) costs.noteTokens(count, base + each * count);
  for (const count of [1, 2, 4, 8, 16]) costs.noteRows(count, step + row * count);
  return costs;
}

/** Tokens of a long prompt in each of `steps` steps, beside `rows` decoding sequences. */
function steps(budget: PrefillBudget, rows: number, steps: number): number[] {
  return Array.from({ length: steps }, () => {
    const allowed = budget.allowance(rows);
    budget.stepped(allowed > 0);
    return allowed;
  });
}

describe('a chunk', () => {
  it('takes at most a quarter of a second, but has at least 32 tokens', () => {
    expect(new PrefillBudget(machine(), 512).chunk).toBe(112);
    expect(new PrefillBudget(machine({ each: 0.1 }), 512).chunk).toBe(512);
    expect(new PrefillBudget(machine({ each: 50 }), 512).chunk).toBe(32);
  });

  it('is no longer than the memory of the logits allows', () => {
    expect(new PrefillBudget(machine({ each: 0.01 }), 100).chunk).toBe(96);
    expect(new PrefillBudget(machine(), 7).chunk).toBe(7);
    expect(new PrefillBudget(new CostModel(), 256).chunk).toBe(256);
  });
});

describe('a long prompt beside sequences that decode', () => {
  it('gets a whole chunk in every step when no sequence decodes', () => {
    expect(steps(new PrefillBudget(machine(), 512), 0, 3)).toEqual([112, 112, 112]);
  });

  it('gets one step in 25 if every run costs as much as a step', () => {
    const allowed = steps(new PrefillBudget(machine(), 512), 1, 64);
    expect(allowed.filter((count) => count > 0)).toEqual([144, 144, 144]);
    expect(allowed.indexOf(144, 1)).toBe(25);
  });

  it('gets larger chunks if the steps take longer: as long as the wait, at most half a second', () => {
    const beside = (step: number): number => {
      const budget = new PrefillBudget(machine({ step, row: 0, base: 200 }), 512);
      return Math.max(...steps(budget, 1, 1));
    };
    expect([5, 12, 15, 90].map(beside)).toEqual([32, 32, 80, 144]);
  });

  it('gets a few tokens in every step if their run takes at most half as long as a decode step', () => {
    const allowed = steps(new PrefillBudget(machine({ base: 2, each: 2, step: 10, row: 5 }), 512), 16, 3);
    expect(allowed[0]).toBeGreaterThan(8);
    expect(new Set(allowed).size).toBe(1);
    expect(2 + 2 * (allowed[0] ?? 0)).toBeLessThanOrEqual((10 + 5 * 16) / 2);
  });

  it('gets a whole chunk in every step if chunks are as cheap as steps, as on a fast device', () => {
    expect(steps(new PrefillBudget(machine({ base: 2, each: 0.01, step: 20, row: 1 }), 512), 8, 3)).toEqual([
      512, 512, 512,
    ]);
  });

  it('is expected to take the time of its chunks and of the steps between them', () => {
    const budget = new PrefillBudget(machine(), 512);
    expect(budget.forecast(0)(112)).toBeCloseTo(234);
    expect(budget.forecast(0)(224)).toBeCloseTo(468);
    expect(budget.forecast(1)(224)).toBeCloseTo(468 + 24 * 13);
  });
});

describe('a chunk with scores', () => {
  /** Scores make a token one and a half times as dear. */
  const scoring = (): CostModel => {
    const costs = machine();
    for (const count of [2, 16, 32, 64, 128, 256]) costs.scored.note(count, 10 + 3 * count);
    return costs;
  };

  it('takes at most as long as a chunk without them', () => {
    const costs = scoring();
    const budget = new PrefillBudget(costs, 512);
    for (const tokens of [8, 16, 32, 64, 112, 128]) {
      const scored = budget.scored(tokens);
      expect(scored).toBeLessThan(tokens);
      expect(scored).toBeGreaterThanOrEqual(tokens / 2);
      if (scored > 32) expect(costs.scored.estimate(scored)).toBeLessThanOrEqual(costs.tokens.estimate(tokens));
    }
  });

  it('has as many tokens as the memory of its logits allows', () => {
    expect(new PrefillBudget(machine(), 512, 55).scored(112)).toBe(55);
    expect(new PrefillBudget(machine(), 512).scored(112)).toBe(112);
    expect(new PrefillBudget(machine(), 512, 1).scored(112)).toBe(1);
  });

  it('is measured again after one slow run', () => {
    const costs = machine();
    costs.scored.note(112, 1000);
    const budget = new PrefillBudget(costs, 512);
    const first = budget.scored(112);
    expect(first).toBeLessThanOrEqual(32);
    costs.scored.note(first, 10 + 2.2 * first);
    for (let run = 0; run < 30; run++) {
      const size = budget.scored(112);
      costs.scored.note(size, 10 + 2.2 * size);
    }
    expect(budget.scored(112)).toBeGreaterThan(80);
  });
});
