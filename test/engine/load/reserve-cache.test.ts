/** The rows of a cache where address space is limited, or where the system refuses it. */
import { describe, expect, it } from 'vitest';
import { countsAddressSpace } from '../../../src/engine/host/host-memory.ts';
import { MappingError } from '../../../src/engine/host/mapped-memory.ts';
import { type ReservedRows, reserveCache } from '../../../src/engine/load/reserve-cache.ts';
import type { Capacity, Session } from '../../../src/engine/ort/session.ts';

const TOKEN_BYTES = 1000;
const plan = { slots: 16, rows: 64, context: 100_000, cache: 64 * 100_000 * TOKEN_BYTES };
const runs = { chunk: 512, keep: 17 };

/** Reserves with a system that has this many bytes of address space. */
function reserveWith(space: number, counts: boolean, cache = plan.cache) {
  const asked: Capacity[] = [];
  const session: Pick<Session, 'reserve' | 'bytesFor' | 'growth'> = {
    growth: 'pages',
    bytesFor: (tokens) => tokens * TOKEN_BYTES,
    reserve: (capacity) => {
      asked.push(capacity);
      if (capacity.rows * capacity.capacity * TOKEN_BYTES > space) throw new MappingError('cannot allocate');
    },
  };
  const rows: ReservedRows = reserveCache(session, { ...plan, cache }, runs, () => counts);
  return { rows, asked };
}

describe('the rows of the plan', () => {
  it('are reserved if the system has the address space', () => {
    const { rows, asked } = reserveWith(1e15, false, 1e9);
    expect(rows).toEqual({ slots: 16, rows: 64, context: 100_000 });
    expect(asked).toEqual([{ rows: 64, slots: 16, capacity: 100_000, ...runs }]);
  });

  it('lose rows that only store first, and keep the tokens and the slots', () => {
    expect(reserveWith(45e8, false).rows).toEqual({ slots: 16, rows: 40, context: 100_000 });
    expect(reserveWith(20e8, false).rows).toEqual({ slots: 16, rows: 19, context: 100_000 });
    expect(reserveWith(16e8, false).rows).toEqual({ slots: 16, rows: 16, context: 100_000 });
  });

  it('lose tokens next, and keep the slots', () => {
    expect(reserveWith(10e8, false).rows).toEqual({ slots: 16, rows: 16, context: 50_000 });
    expect(reserveWith(16 * 256 * TOKEN_BYTES, false).rows).toEqual({ slots: 16, rows: 16, context: 256 });
  });

  it('take no more address space than the planned memory if the system counts it', () => {
    const { rows, asked } = reserveWith(1e15, true, 20e8);
    expect(rows).toEqual({ slots: 16, rows: 19, context: 100_000 });
    expect(asked).toHaveLength(1);
  });

  it('are refused if the system has no room for rows of the least length', () => {
    expect(() => reserveWith(1e6, false)).toThrow(MappingError);
    expect(() => reserveWith(1e6, true, 1e6)).toThrow(MappingError);
  });

  it('of the least length are tried even if the planned memory is less', () => {
    expect(reserveWith(1e15, true, 1e6).rows).toEqual({ slots: 16, rows: 16, context: 256 });
  });
});

describe('a system counts address space', () => {
  const reading = (files: Readonly<Record<string, string>>) => (path: string) => files[path] ?? '';
  const limit = (value: string) => `Max address space         ${value}            ${value}            bytes\n`;

  it('if its size is limited, or if the system never overcommits', () => {
    const limits = '/proc/self/limits';
    const overcommit = '/proc/sys/vm/overcommit_memory';
    expect(countsAddressSpace(reading({ [limits]: limit('unlimited'), [overcommit]: '0\n' }))).toBe(false);
    expect(countsAddressSpace(reading({ [limits]: limit('unlimited'), [overcommit]: '1\n' }))).toBe(false);
    expect(countsAddressSpace(reading({ [limits]: limit('unlimited'), [overcommit]: '2\n' }))).toBe(true);
    expect(countsAddressSpace(reading({ [limits]: limit('8589934592'), [overcommit]: '0\n' }))).toBe(true);
  });
});
