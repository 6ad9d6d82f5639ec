/** Plans of several workers: real reservations in a real folder, with injected free memory. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HOST_MEMORY_ID, withoutHeld } from '../../../src/engine/devices/device.ts';
import type { Reservation } from '../../../src/engine/host/reservations.ts';
import { LoadError } from '../../../src/engine/load/load-error.ts';
import {
  heldBy,
  NEGLIGIBLE_SHARE,
  outstandingOf,
  type PlanTarget,
  planReserved,
  type ReservedPlan,
} from '../../../src/engine/load/reserved-plan.ts';
import type { CacheGrowth } from '../../../src/engine/ort/cache/growth.ts';
import type { MemoryPlan } from '../../../src/protocol/memory-plan.ts';
import type { Reason } from '../../../src/protocol/reasons.ts';

/** The memory of the played machine. */
const FREE = 1e12;

let root: string;
const plans: ReservedPlan[] = [];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'plans-'));
});
afterEach(() => {
  for (const { release } of plans.splice(0)) release();
  rmSync(root, { recursive: true });
});

/**
 * A model with a row of 20 GB, on a machine that never shows that memory is in use.
 * @param growth by default all rows are allocated at once, so that the number of slots shows the memory
 */
function plan(
  changes: Partial<PlanTarget> = {},
  weights = 1e9,
  growth: CacheGrowth = 'none',
  parts: { readonly copied?: number; readonly opening?: number } = {},
): ReservedPlan {
  const weightFile = join(root, `weights-${weights}`);
  writeFileSync(weightFile, '');
  const needs = { device: 'cpu', weights, rowBytes: () => 20e9, growth, logits: () => 0, work: 0, ...parts } as const;
  const reserved = planReserved(needs, {
    requested: { slots: 'auto', context: 16 },
    device: { memoryId: () => HOST_MEMORY_ID },
    weightFiles: [weightFile],
    folder: join(root, 'user'),
    freeBytes: (held) => withoutHeld(FREE, held),
    ...changes,
  });
  plans.push(reserved);
  return reserved;
}

/** Free and reserved memory. Rounded, because the anonymous memory of this process is real and grows. */
const gigabytes = ({ free = 0, reserved = 0 }: Partial<MemoryPlan> = {}): number[] =>
  [free, reserved].map((bytes) => Math.round(bytes / 1e9));

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);

describe.runIf(process.platform === 'linux')('five workers that start together', () => {
  test('plan with the memory that the others leave', () => {
    const five = Array.from({ length: 5 }, () => plan().plan);
    expect(five.map(({ slots }) => slots)).toEqual([12, 9, 7, 5, 4]);
    expect(five.map(({ otherWorkers }) => otherWorkers)).toEqual([undefined, 1, 2, 3, 4]);
    expect(sum(five.map(({ total }) => total))).toBeLessThan(FREE);
    expect(gigabytes(five[1])).toEqual([760, 240]);
  });

  test('take half of what the others leave, if the cache takes memory as it is used', () => {
    const five = Array.from({ length: 5 }, () => plan({}, 1e9, 'pages').plan);
    expect(five.map(({ slots }) => slots)).toEqual([16, 16, 16, 16, 16]);
    expect(five.map(({ cache }) => Math.round(cache / 1e9))).toEqual([500, 250, 125, 62, 31]);
    expect(sum(five.map(({ total }) => total))).toBeLessThan(FREE);
  });

  test('plan 1.2 times the free memory without a folder', () => {
    const five = Array.from({ length: 5 }, () => plan({ folder: undefined }).plan);
    expect(sum(five.map(({ total }) => total)) / FREE).toBeCloseTo(1.2, 1);
  });

  test('count the weights of another model once, and their own weights never', () => {
    plan({}, 100e9);
    expect(gigabytes(plan({}, 100e9).plan)).toEqual([760, 240]);
    const third = plan({}, 101e9).plan;
    expect(gigabytes(third)).toEqual([1000 - 520, 240 + 180 + 100]);
    expect(third.otherWorkers).toBe(2);
  });

  test('count copies of the same weights again', () => {
    plan({}, 100e9, 'none', { copied: 90e9 });
    expect(gigabytes(plan({}, 100e9, 'none', { copied: 90e9 }).plan)).toEqual([670, 330]);
  });

  test('reserve memory that only the opening takes until it ends', () => {
    const first = plan({}, 1e9, 'none', { opening: 50e9 });
    expect(gigabytes(plan().plan)).toEqual([710, 290]);
    plans.pop()?.release();
    first.endOpening();
    expect(gigabytes(plan().plan)).toEqual([760, 240]);
  });

  test('count the same weights again in the memory of a GPU', () => {
    const device = { memoryId: () => 'uuid-of-a-gpu' };
    plan({ device }, 100e9);
    expect(gigabytes(plan({ device }, 100e9).plan)).toEqual([660, 340]);
    expect(plan({ device: { memoryId: () => 'another' } }, 100e9).plan).not.toHaveProperty('reserved');
  });

  test('are refused when nothing is left, with the memory of the others in the reason', () => {
    const requested = { slots: 30, context: 16 };
    plan({ requested });
    const refused = (): ReservedPlan => plan({ requested });
    expect(refused).toThrow(LoadError);
    try {
      refused();
    } catch (error) {
      expect((error as LoadError).reason).toMatchObject({
        code: 'does_not_fit',
        plan: { otherWorkers: 1 },
        suggestion: { slots: 19 },
      });
      expect(gigabytes(((error as LoadError).reason as Reason<'does_not_fit'>).plan)).toEqual([400, 600]);
    }
    // A refusal reserves nothing, and frees the lock.
    expect(plan().plan.otherWorkers).toBe(1);
  });

  test('do not count the workers of another machine that has the same folder', () => {
    plan();
    const [name = ''] = readdirSync(join(root, 'user')).filter((file) => file.endsWith('.json'));
    const path = join(root, 'user', name);
    const foreign = { ...(JSON.parse(readFileSync(path, 'utf8')) as Reservation), machine: 'another start' };
    writeFileSync(path, JSON.stringify(foreign));
    expect(plan().plan).not.toHaveProperty('reserved');
  });

  test('leave to the others all but the cache that grows, once the rest is in use', () => {
    const device = { memoryId: () => 'uuid-of-a-gpu' };
    const first = plan({ device }, 100e9, 'doubling');
    expect(gigabytes(plan({ device }, 100e9).plan)[1]).toBe(Math.round(first.plan.total / 1e9));
    first.keepCache();
    const reserved = plans.slice(1).map(({ plan: { total } }) => total);
    expect(gigabytes(plan({ device }, 100e9).plan)[1]).toBe(Math.round((first.plan.cache + sum(reserved)) / 1e9));
  });

  test('get the memory back when a worker ends', () => {
    const first = plan();
    first.release();
    expect(plan().plan).not.toHaveProperty('reserved');
  });

  test('are limited by a control group only with the workers of the group', () => {
    plan();
    const seen: string[][] = [];
    plan({
      freeBytes: (held) => {
        seen.push(...held.map(({ groups }) => [...groups]));
        return withoutHeld(FREE, held);
      },
    });
    expect(seen).toHaveLength(1);
    expect(seen[0]?.length).toBeGreaterThan(0);
  });
});

describe('a plan is made without a reservation', () => {
  test('if it is negligible', () => {
    const small = FREE * NEGLIGIBLE_SHARE - 1;
    const needs = {
      device: 'cpu',
      weights: small,
      rowBytes: () => 0,
      growth: 'none',
      logits: () => 0,
      work: 0,
    } as const;
    const target = {
      requested: { slots: 1, context: 16 },
      device: { memoryId: () => HOST_MEMORY_ID },
      weightFiles: [],
      folder: '/proc/nowhere/user',
      freeBytes: () => FREE,
    };
    expect(planReserved(needs, target)).not.toHaveProperty('problem');
    expect(planReserved({ ...needs, weights: small + 2 }, target)).toMatchObject({
      plan: { total: small + 2 },
      problem: expect.stringContaining('ENOENT'),
    });
  });

  test('if the free memory, the id of the memory or the folder is unknown', () => {
    expect(plan({ freeBytes: () => undefined })).not.toHaveProperty('problem');
    expect(plan({ device: { memoryId: () => undefined } })).not.toHaveProperty('problem');
    expect(plan({ folder: undefined })).not.toHaveProperty('problem');
  });
});

describe('the outstanding part of a reservation', () => {
  const reservation: Reservation = {
    machine: 'boot-1',
    pid: 7,
    namespace: 'pid:[1]',
    memory: HOST_MEMORY_ID,
    weightsId: '1:2',
    weights: 1000,
    rest: 500,
    before: 10,
    groups: [],
  };
  const reader = { weightsId: '1:3', namespace: 'pid:[1]' };

  const all = { weights: 1000, rest: 500 };

  test.each([
    ['nothing is in use yet', 10, all],
    ['less than before', 5, all],
    ['a part is in use', 110, { weights: 1000, rest: 400 }],
    ['a part of the weights is copied', 710, { weights: 800, rest: 0 }],
    ['everything and more', 9999, { weights: 0, rest: 0 }],
    ['the process cannot be seen', undefined, all],
  ])('%s', (_, now, expected) => {
    expect(outstandingOf(reservation, reader, () => now)).toEqual(expected);
  });

  test('has no weights for a process with the same files', () => {
    const same = { ...reader, weightsId: reservation.weightsId };
    expect(outstandingOf(reservation, same, () => 710)).toEqual({ weights: 0, rest: 0 });
    expect(outstandingOf(reservation, same, () => 110)).toEqual({ weights: 0, rest: 400 });
  });

  test('of shared weights counts once in all control groups of the processes', () => {
    const [first, second] = [
      { ...reservation, groups: ['a', 'root'] },
      { ...reservation, groups: ['b', 'root'], weights: 900 },
    ];
    const other = { ...reservation, weightsId: '7:8', groups: ['b'] };
    expect(heldBy([first, second, other])).toEqual([
      { bytes: 500, groups: ['a', 'root'] },
      { bytes: 500, groups: ['b', 'root'] },
      { bytes: 500, groups: ['b'] },
      { bytes: 1000, groups: ['a', 'root', 'b'] },
      { bytes: 1000, groups: ['b'] },
    ]);
  });

  test('is all of it for a process of another pid namespace, whose pid means another process here', () => {
    expect(outstandingOf(reservation, { ...reader, namespace: 'pid:[2]' }, () => 9999)).toEqual(all);
  });

  test('is all of it on a GPU, until it is released', () => {
    expect(outstandingOf({ ...reservation, memory: 'gpu' }, reader, () => 9999)).toEqual(all);
  });
});
