import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CopyCost, RunCost } from '../../src/engine/cost-model.ts';

describe('the cost of a run', () => {
  it('is 0 before the first measurement', () => {
    expect(new RunCost().estimate(8)).toBe(0);
  });

  it('is linear between two measured sizes, proportional above them, and constant below them', () => {
    const curve = new RunCost();
    curve.note(4, 20);
    curve.note(8, 32);
    expect([1, 4, 6, 8, 16].map((size) => curve.estimate(size))).toEqual([20, 20, 26, 32, 64]);
  });

  it('follows later measurements', () => {
    const curve = new RunCost();
    curve.note(4, 20);
    for (let run = 0; run < 40; run++) curve.note(4, 10);
    expect(curve.estimate(4)).toBeCloseTo(10, 2);
  });

  it('gives a size that was slow once another chance', () => {
    const curve = new RunCost();
    curve.note(64, 1000);
    curve.note(48, 96);
    expect(curve.estimate(64)).toBe(1000);
    expect(curve.estimate(56)).toBe(112);
  });

  it('is never more than in proportion to a smaller size, and never below zero', () => {
    const observed = fc.array(
      fc.tuple(fc.integer({ min: 1, max: 600 }), fc.double({ min: 0.01, max: 1e4, noNaN: true })),
      {
        minLength: 1,
      },
    );
    fc.assert(
      fc.property(observed, fc.integer({ min: 1, max: 1000 }), (runs, size) => {
        const curve = new RunCost();
        for (const [count, ms] of runs) curve.note(count, ms);
        const most = Math.max(...runs.map(([, ms]) => ms));
        const widest = Math.max(1, size / Math.min(...runs.map(([count]) => count)));
        expect(curve.estimate(size)).toBeGreaterThan(0);
        expect(curve.estimate(size)).toBeLessThanOrEqual(most * widest * 1.0001);
      }),
    );
  });
});

describe('the cost of a copy', () => {
  it('is compared with the computation after four copies, of which the fastest counts', () => {
    const copies = new CopyCost();
    for (const ms of [500, 400, 300]) {
      expect(copies.pays(100, 1)).toBe(true);
      copies.note(100, ms);
    }
    copies.note(100, 10);
    expect(copies.pays(100, 20)).toBe(true);
    expect(copies.pays(100, 5)).toBe(false);
  });

  it('is measured again after some refusals', () => {
    const copies = new CopyCost();
    for (let count = 0; count < 4; count += 1) copies.note(100, 10);
    let refused = 0;
    while (!copies.pays(100, 5)) refused += 1;
    expect(refused).toBe(16);
  });
});
