import { describe, expect, it } from 'vitest';
import { CostModel } from '../../src/engine/cost-model.ts';
import { PrefillBudget } from '../../src/engine/prefill-budget.ts';
import { Sequence } from '../../src/engine/sequence.ts';
import { WaitEstimate } from '../../src/engine/wait-estimate.ts';
import { prompt, request } from './harness.ts';

/** Every token of a prompt takes 1 ms, every decode step 10. */
function setUp(): WaitEstimate {
  const costs = new CostModel();
  costs.noteTokens(32, 32);
  costs.noteRows(1, 10);
  const forecast = new WaitEstimate(new PrefillBudget(costs, 512));
  forecast.noteStep(10);
  return forecast;
}

function waiting(length: number, maxTokens: number): Sequence {
  return new Sequence(request({ prompt: prompt(length), maxTokens }), 0);
}

function decoding(maxTokens: number, generated: number): Sequence {
  const sequence = waiting(10, maxTokens);
  sequence.start({ slot: 0, cachedTokens: 0 }, 0, 0);
  for (let count = 0; count < generated; count++) sequence.accept({ id: 1 }, 0);
  return sequence;
}

describe('the expected output', () => {
  it('is the rest of `maxTokens` before the first output has ended', () => {
    expect(setUp().slotFreeMs([decoding(50, 10)])).toBe(400);
  });

  it('is not the whole of a long context before the first output has ended', () => {
    expect(setUp().slotFreeMs([decoding(131_000, 10)])).toBe(20_380);
  });

  it('is the mean of recent outputs, and at most `maxTokens`', () => {
    const forecast = setUp();
    forecast.noteOutput(20);
    expect(forecast.slotFreeMs([decoding(500, 5)])).toBe(150);
    expect(forecast.slotFreeMs([decoding(8, 5)])).toBe(30);
  });

  it('is a quarter more than the current length for a sequence longer than the mean, and never 0', () => {
    const forecast = setUp();
    forecast.noteOutput(20);
    expect(forecast.slotFreeMs([decoding(500, 100)])).toBe(250);
    expect(forecast.slotFreeMs([decoding(500, 1)])).toBe(190);
    expect(forecast.slotFreeMs([decoding(100, 99)])).toBe(10);
  });

  it('includes the part of the prompt that is not computed yet', () => {
    const sequence = waiting(64, 10);
    sequence.start({ slot: 0, cachedTokens: 32 }, 0, 0);
    expect(setUp().slotFreeMs([sequence])).toBe(32 + 100);
  });
});

describe('waiting sequences', () => {
  it('get the slots in the order in which these become free, and keep them as long as needed; so does the next', () => {
    const forecast = setUp();
    const busy = [decoding(50, 10), decoding(30, 10)];
    const waits = forecast.waits(busy, [waiting(1, 10), waiting(1, 10), waiting(1, 100), waiting(1, 10)], 0);
    expect(waits.map(Math.round)).toEqual([200, 301, 400, 402, 503]);
  });

  it('need not wait while slots are free', () => {
    expect(
      setUp()
        .waits([decoding(50, 10)], [waiting(1, 10), waiting(1, 10)], 1)
        .map(Math.round),
    ).toEqual([0, 101, 202]);
  });
});

describe('one more waiting sequence', () => {
  it('delays the next one by the time of a whole sequence, divided by the number of slots', () => {
    const forecast = setUp();
    expect(Math.round(forecast.turnMs([decoding(50, 10)]))).toBe(510);
    expect(Math.round(forecast.turnMs([decoding(50, 10), decoding(30, 10)]))).toBe(205);
  });
});
