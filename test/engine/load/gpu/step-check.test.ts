/** The check of steps, with a real session for the plain runs, and with steps that it computes, right or spoiled. */
import { afterAll, describe, expect, it } from 'vitest';
import { GpuModeRefusal } from '../../../../src/engine/load/gpu/gpu-mode.ts';
import { type CheckedSteps, checkSteps } from '../../../../src/engine/load/gpu/step-check.ts';
import { OrtError } from '../../../../src/engine/ort/api.ts';
import type { Logits, StepRow } from '../../../../src/engine/ort/gpu/decode-steps.ts';
import type { TopLogits } from '../../../../src/engine/sampling/top-logits.ts';
import { openSession } from '../../harness.ts';

const SLOTS = 6;
const COUNT = 65;
const session = openSession(undefined, { rows: SLOTS });
afterAll(() => session.close());

/** The results of a step, which a test can spoil. */
interface Result {
  logits: Float32Array;
  top: { values: Float32Array; ids: Int32Array; sum: number };
}

function topOf(logits: Float32Array): Result['top'] {
  const ids = Int32Array.from(logits.keys()).sort((a, b) => logits[b]! - logits[a]!);
  const values = Float32Array.from(ids.subarray(0, COUNT), (id) => logits[id]!);
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - values[0]!), 0);
  return { values, ids: ids.slice(0, COUNT), sum };
}

/** Steps that the session computes row by row. */
class Steps implements CheckedSteps {
  /** The numbers of rows of all steps. */
  readonly sizes: number[] = [];
  /** Number of recorded steps. */
  recorded = 1;
  /** The lists of the best logits are left out. */
  withoutTop = false;
  spoil: (result: Result, row: number, step: number) => void = () => undefined;
  before: () => void = () => undefined;
  #results = new Map<number, Result>();

  run(rows: readonly StepRow[]): void {
    this.before();
    this.sizes.push(rows.length);
    this.#results = new Map(
      rows.map(({ row, id, length }) => {
        session.ids[0] = BigInt(id);
        const run = { rows: { first: row, count: 1 }, lengths: [length], tokens: 1, logitsAt: 0, keep: 1 };
        const logits = session.logitsAt(session.run(run) - 1).slice();
        const result = { logits, top: topOf(logits) };
        this.spoil(result, row, this.sizes.length);
        return [row, result];
      }),
    );
  }

  result(row: number): Logits {
    const { logits, top } = this.#results.get(row)!;
    return { all: () => logits, ...(!this.withoutTop && { top: top satisfies TopLogits }) };
  }
}

/** Checks the steps. @returns the refusal, and the next mode */
function check(...args: Parameters<typeof refusalOf>) {
  const refusal = refusalOf(...args);
  return refusal && [refusal.limit, refusal.next];
}

function refusalOf(steps: CheckedSteps | undefined, mode: 'captured' | 'eager' | 'off' = 'captured', slots = SLOTS) {
  const { idLimit, ids } = session;
  const calls = {
    run: session.run.bind(session),
    logitsAt: session.logitsAt.bind(session),
    forget: session.forget.bind(session),
    releaseRow: session.releaseRow.bind(session),
  };
  try {
    checkSteps({ steps, slots, idLimit, ids, ...calls }, 256, mode);
  } catch (error) {
    if (!(error instanceof GpuModeRefusal)) throw error;
    return error;
  }
  return undefined;
}

/** The refusal of steps with spoiled results. */
function spoiled(spoil: Steps['spoil'], mode: 'captured' | 'eager' = 'captured') {
  const steps = new Steps();
  steps.spoil = spoil;
  return check(steps, mode);
}

describe('right steps', () => {
  it('are accepted: four rows alone, and 2, 4 … rows together up to all of them, each twice', () => {
    for (const mode of ['captured', 'eager'] as const) {
      const steps = new Steps();
      expect(check(steps, mode)).toBeUndefined();
      expect(steps.sizes).toEqual([1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 4, 4, 6, 6]);
      const sizesOf = (slots: number): number[] => {
        const few = new Steps();
        expect(check(few, mode, slots)).toBeUndefined();
        return few.sizes;
      };
      expect(sizesOf(1)).toEqual([1, 1]);
      expect(sizesOf(2)).toEqual([1, 1, 1, 1, 2, 2]);
      expect(sizesOf(3)).toEqual([1, 1, 1, 1, 1, 1, 2, 2, 3, 3]);
    }
  });

  it('are refused as captured if none of them was recorded', () => {
    const steps = new Steps();
    steps.recorded = 0;
    expect(check(steps, 'captured')).toEqual(['fails', 'eager']);
    expect(check(steps, 'eager')).toBeUndefined();
  });

  it('are accepted without the best logits', () => {
    const steps = new Steps();
    steps.withoutTop = true;
    expect(check(steps)).toBeUndefined();
  });
});

describe('wrong steps', () => {
  const wrong = ['computes_wrong', 'eager'];

  it('are refused if a replay has the result of the recording', () => {
    const first = new Map<number, Result>();
    const stale: Steps['spoil'] = (result, row, step) => {
      if (step % 2 === 1) first.set(row, { logits: result.logits, top: result.top });
      else Object.assign(result, first.get(row));
    };
    expect(spoiled(stale)).toEqual(wrong);
    expect(spoiled(stale, 'eager')).toEqual(['computes_wrong', 'off']);
  });

  it('are refused if a row has the result of another one', () => {
    let previous: Result | undefined;
    const exchanged: Steps['spoil'] = (result, row, step) => {
      const own = { ...result };
      if (step === 12 && row === 3 && previous) Object.assign(result, previous);
      previous = own;
    };
    expect(spoiled(exchanged)).toEqual(wrong);
  });

  it.each<[string, (top: Result['top']) => void]>([
    [
      'an id is that of another logit',
      ({ ids }) => {
        ids[7] = ids[8]!;
      },
    ],
    [
      'an id is not in the vocabulary',
      ({ ids }) => {
        ids[0] = 1024;
      },
    ],
    [
      'a value is that of a step before',
      ({ values }) => {
        values[0] = values[0]! + 0.5;
      },
    ],
    [
      'the list is not sorted',
      (top) => Object.assign(top, { values: top.values.toReversed(), ids: top.ids.toReversed() }),
    ],
    ['the sum is too small', (top) => Object.assign(top, { sum: top.sum * 0.99 })],
    ['the sum is no number', (top) => Object.assign(top, { sum: Number.NaN })],
  ])('are refused if %s', (_, change) => {
    expect(spoiled(({ top }, row, step) => void (step === 12 && row === 2 && change(top)))).toEqual(wrong);
  });

  it('are refused if only the step of all rows is wrong', () => {
    expect(spoiled(({ logits }, row, step) => void (step === 14 && row === 1 && logits.fill(0)))).toEqual(wrong);
  });

  it('are described by the row, and by the difference or the list', () => {
    const detail = (spoil: Steps['spoil']): string | undefined => {
      const steps = new Steps();
      steps.spoil = (result, row, step) => void (step === 12 && row === 2 && spoil(result, row, step));
      return refusalOf(steps)?.detail;
    };
    expect(detail(({ logits }) => void logits.fill(0))).toBe('step over 4 rows, row 2: logits differ by 100 %');
    expect(detail(({ top }) => void top.values.fill(0))).toMatch('row 2: the list of the best logits is wrong');
  });

  it('are refused if a logit is no number', () => {
    expect(spoiled(({ logits }) => void logits.fill(Number.NaN, 3, 4))).toEqual(wrong);
  });
});

describe('steps that cannot run', () => {
  it('are refused if they fail, but a lack of memory is reported as such', () => {
    const steps = new Steps();
    steps.before = () => {
      throw new OrtError('runWithBinding', 1, 'the device is lost');
    };
    expect([check(steps), check(steps, 'eager')]).toEqual([
      ['fails', 'eager'],
      ['fails', 'off'],
    ]);
    expect(refusalOf(steps)?.detail).toContain('the device is lost');
    const full = new OrtError('runWithBinding', 1, 'failed to create GPU buffer');
    steps.before = () => {
      throw full;
    };
    expect(() => check(steps)).toThrow(full);
  });

  it('are refused if the session has none, unless none were asked for', () => {
    expect([check(undefined), check(undefined, 'eager'), check(undefined, 'off')]).toEqual([
      ['no_copies', 'off'],
      ['no_copies', 'off'],
      undefined,
    ]);
  });
});
