/** Reservations of memory in a real folder, with real locks of the kernel. */
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { lockFile } from '../../../src/engine/ffi.ts';
import {
  MAX_RESERVATION_BYTES,
  type Reservation,
  ReservationError,
  Reservations,
} from '../../../src/engine/host/reservations.ts';

const RESERVATION: Reservation = {
  machine: 'boot-1',
  pid: 7,
  namespace: 'pid:[1]',
  memory: 'host',
  weightsId: '1:2',
  weights: 1000,
  rest: 500,
  before: 10,
  groups: ['/sys/fs/cgroup'],
};

let root: string;
let folder: string;
const open: Reservations[] = [];
/** Another process, as far as locks are concerned: it opens its files itself. */
function other(): Reservations {
  const reservations = new Reservations(folder, 50);
  open.push(reservations);
  return reservations;
}

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'reservations-'));
  folder = join(root, 'user');
});
afterEach(() => {
  for (const reservations of open.splice(0)) reservations.release();
  rmSync(root, { recursive: true });
});

describe.runIf(process.platform === 'linux')('a reservation', () => {
  test('is seen by others until it is released', () => {
    const [own, reader] = [other(), other()];
    own.publish(RESERVATION);
    expect(reader.others()).toEqual([RESERVATION]);
    expect(own.others()).toEqual([]);
    own.release();
    expect(reader.others()).toEqual([]);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('replaces the last one of the same process', () => {
    const [own, reader] = [other(), other()];
    own.publish(RESERVATION);
    own.publish({ ...RESERVATION, rest: 900 });
    expect(reader.others().map(({ rest }) => rest)).toEqual([900]);
  });

  test('of a dead process is removed, because nobody holds its lock', () => {
    const reader = other();
    writeFileSync(join(folder, '7-1.json'), JSON.stringify(RESERVATION));
    expect(reader.others()).toEqual([]);
    expect(existsSync(join(folder, '7-1.json'))).toBe(false);
  });

  test.each([
    ['an empty file', ''],
    ['no JSON', '{'],
    ['no object', 'null'],
    ['a missing field', JSON.stringify({ ...RESERVATION, groups: undefined })],
    ['a negative size', JSON.stringify({ ...RESERVATION, rest: -1 })],
    ['a size that is no number', JSON.stringify({ ...RESERVATION, weights: '1e99' })],
    ['a number for a text', JSON.stringify({ ...RESERVATION, memory: 5 })],
    ['a very long file', JSON.stringify({ ...RESERVATION, weightsId: 'x'.repeat(MAX_RESERVATION_BYTES) })],
  ])('that is broken counts for nothing: %s', (_, text) => {
    const [own, reader] = [other(), other()];
    own.publish(RESERVATION);
    const [name = ''] = readdirSync(folder);
    writeFileSync(join(folder, name), text);
    expect(reader.others()).toEqual([]);
  });
});

describe.runIf(process.platform === 'linux')('the lock of the folder', () => {
  test('excludes other processes, and is free after an error', () => {
    const [first, second] = [other(), other()];
    first.exclusively(() => {
      expect(() => second.exclusively(() => 'never')).toThrow(ReservationError);
    });
    expect(() =>
      first.exclusively(() => {
        throw new RangeError('inside');
      }),
    ).toThrow(RangeError);
    expect(second.exclusively(() => 'done')).toBe('done');
  });

  test('that the system refuses is not a lock of another process, so nobody waits for it', () => {
    const path = join(root, 'file');
    const [own, same] = [openSync(path, 'a+'), openSync(path, 'a+')];
    expect([lockFile(own), lockFile(same)]).toEqual([true, false]);
    for (const descriptor of [own, same]) closeSync(descriptor);
    // A closed descriptor, in place of a file system without locks.
    expect(lockFile(own)).toBeUndefined();
  });
});

describe('a folder that cannot be used', () => {
  test('is refused if it cannot be made', () => {
    folder = join(root, 'missing', 'user');
    expect(other).toThrow(ReservationError);
  });

  test('is refused if it is below /proc, without an endless loop', () => {
    folder = '/proc/nowhere/user';
    expect(other).toThrow(ReservationError);
  });

  test('is refused if others can open it', () => {
    mkdirSync(folder);
    chmodSync(folder, 0o755);
    expect(other).toThrow('is not a folder of this user alone');
  });

  test('is refused if it is a link or a file', () => {
    symlinkSync(root, folder);
    expect(other).toThrow('is not a folder of this user alone');
    rmSync(folder);
    writeFileSync(folder, '');
    expect(other).toThrow('is not a folder of this user alone');
  });
});
