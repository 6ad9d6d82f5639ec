/** The memory of a cache in place in host memory: it follows the tokens of the rows. */
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { cFunction } from '../../../../src/engine/ffi.ts';
import { canMap, MappedMemory, MappingError, pageBytes } from '../../../../src/engine/host/mapped-memory.ts';
import { loadOrt } from '../../../../src/engine/ort/api.ts';
import type { Session } from '../../../../src/engine/ort/session.ts';
import { modelFile, openSession, prompt, runtimeLibrary } from '../../harness.ts';

/** The cache of the embedded model: 4 layers with keys and values of 4 heads, each with 16 floats a token. */
const TENSORS = 8;
const HEADS = 4;
const HEAD_TOKEN_BYTES = 64;
const CONTEXT = 131_072;
const ROWS = 64;
const SLOTS = 16;

let session: Session;
afterEach(() => session.close());

/** The addresses of row 0 in each cache tensor; known after the first run. */
const rooms = new Set<bigint>();
let boundRow = 0;

function open(): void {
  rooms.clear();
  const api = loadOrt(runtimeLibrary);
  const { createTensorWithData } = api;
  const rowSize = HEADS * HEAD_TOKEN_BYTES * CONTEXT;
  const watched: typeof api = {
    ...api,
    createTensorWithData: (info, pointer, bytes, shape, rank, type) => {
      if (bytes === rowSize) rooms.add(pointer - BigInt(boundRow * rowSize));
      return createTensorWithData(info, pointer, bytes, shape, rank, type);
    },
  };
  session = openSession(modelFile, { rows: ROWS, slots: SLOTS, capacity: CONTEXT, chunk: 512, keep: 17 }, watched);
}

/** Bytes of memory in the rooms of the cache; undefined if one of them is not mapped. */
function resident(): number | undefined {
  const bytes = ROWS * HEADS * HEAD_TOKEN_BYTES * CONTEXT;
  const mincore = cFunction('mincore', 'int', ['uintptr_t', 'size_t', 'void *']);
  const pages = Buffer.alloc(bytes / pageBytes());
  let sum = 0;
  for (const room of rooms) {
    if (mincore(room, bytes, pages) !== 0) return undefined;
    for (const page of pages) sum += page & 1;
  }
  return sum * pageBytes();
}

/** The flags of the mapping that contains an address. */
function flagsAt(address: bigint): string[] {
  const maps = readFileSync('/proc/self/smaps', 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  const found = maps.find((map) => {
    const [from, to] = (/^(\S+)-(\S+) /.exec(map) ?? []).slice(1).map((hex) => BigInt(`0x${hex}`));
    return from !== undefined && to !== undefined && from <= address && address < to;
  });
  return (/^VmFlags: (.*)$/m.exec(found ?? '')?.[1] ?? '').trim().split(' ');
}

/** Computes a prompt in a row, in runs of at most 512 tokens. */
function fill(row: number, ids: readonly number[], from = 0): void {
  boundRow = row;
  for (let start = from; start < ids.length; start += 512) {
    const chunk = ids.slice(start, start + 512);
    for (const [index, id] of chunk.entries()) session.ids[index] = BigInt(id);
    const lengths = [start + chunk.length];
    session.run({ rows: { first: row, count: 1 }, lengths, tokens: chunk.length, logitsAt: 0, keep: 1 });
  }
}

/** The logits of one more id in a row that holds `length` tokens. */
function next(row: number, length: number, id = 7): Float32Array {
  boundRow = row;
  session.ids[0] = BigInt(id);
  const at = { rows: { first: row, count: 1 }, lengths: [length + 1], tokens: 1, logitsAt: 0, keep: 1 };
  const written = session.run(at);
  const { vocabSize } = session.signature;
  return session.logits.slice((written - 1) * vocabSize, written * vocabSize);
}

describe.runIf(process.platform === 'linux')('the cache of 64 rows of 131 072 tokens', () => {
  const rowBytes = TENSORS * HEADS * HEAD_TOKEN_BYTES;

  it('is address space, of which only the pages of the used tokens are memory', () => {
    open();
    for (let row = 0; row < SLOTS; row++) fill(row, prompt(64 + 16 * row, row));
    const held = Array.from({ length: SLOTS }, (_, row) => session.bytesFor(64 + 16 * row));
    const expected = held.reduce((sum, bytes) => sum + bytes, 0);
    expect(rooms.size).toBe(TENSORS);
    expect(resident()).toBe(expected);
    for (const room of rooms) expect(flagsAt(room)).toEqual(expect.arrayContaining(['nh', 'nr']));
  });

  it('takes whole pages for each head, and nothing for an empty row', () => {
    open();
    const page = pageBytes();
    const tokensPerPage = page / HEAD_TOKEN_BYTES;
    expect(session.bytesFor(0)).toBe(0);
    expect(session.bytesFor(1)).toBe(TENSORS * HEADS * page);
    expect(session.bytesFor(tokensPerPage)).toBe(TENSORS * HEADS * page);
    expect(session.bytesFor(tokensPerPage + 1)).toBe(2 * TENSORS * HEADS * page);
    expect(session.bytesFor(CONTEXT)).toBe(CONTEXT * rowBytes);
  });

  it('gives the memory of a row back, and keeps its first tokens and the other rows', () => {
    open();
    const ids = prompt(500);
    fill(2, ids);
    fill(3, ids);
    const whole = 2 * session.bytesFor(500);
    expect(resident()).toBe(whole);
    expect(session.releaseRow(2, 300)).toBe(session.bytesFor(300));
    expect(resident()).toBe(whole - session.bytesFor(500) + session.bytesFor(300));
    const expected = next(3, 300);
    expect(next(2, 300)).toEqual(expected);
    // The row grows again where its pages were dropped.
    fill(2, ids, 300);
    fill(3, ids, 300);
    expect(next(2, 500)).toEqual(next(3, 500));
    expect(session.releaseRow(2, 0)).toBe(0);
    expect(resident()).toBe(session.bytesFor(501));
  });

  it('releases nothing twice, and keeps a row that holds fewer tokens', () => {
    open();
    fill(0, prompt(100));
    expect(session.releaseRow(0, 500)).toBe(session.bytesFor(100));
    expect(session.releaseRow(0, 20)).toBe(session.bytesFor(20));
    expect(session.releaseRow(0, 500)).toBe(session.bytesFor(20));
  });

  it('copies a prefix to a row that only stores, and back into a slot', () => {
    open();
    const ids = prompt(300);
    fill(0, ids);
    session.copyRow(0, ROWS - 1, 256);
    session.releaseRow(0, 0);
    expect(resident()).toBe(session.bytesFor(256));
    session.copyRow(ROWS - 1, 5, 256);
    fill(5, ids, 256);
    fill(6, ids);
    expect(next(5, 300)).toEqual(next(6, 300));
    expect(session.releaseRow(ROWS - 1, 0)).toBe(0);
  });

  it('runs no row that only stores', () => {
    open();
    const rows = { first: SLOTS, count: 1 };
    expect(() => session.run({ rows, lengths: [1], tokens: 1, logitsAt: 0, keep: 1 })).toThrow('only stores');
  });

  it('ends with the session', () => {
    open();
    fill(0, prompt(10));
    expect(resident()).toBe(session.bytesFor(10));
    session.close();
    expect(resident()).toBeUndefined();
    open();
  });

  it('needs no neighbour: heads of an odd context begin pages of their own', () => {
    session = openSession(modelFile, { rows: 2, capacity: 100, chunk: 100, keep: 1 });
    const ids = prompt(70);
    for (const row of [0, 1]) fill(row, ids);
    const expected = next(1, 70);
    expect(session.releaseRow(0, 0)).toBe(0);
    expect(next(1, 70)).toEqual(expected);
  });
});

describe('address space', () => {
  it.runIf(canMap)('of an impossible size is refused with a message that means a lack of memory', () => {
    open();
    expect(() => new MappedMemory(2 ** 52)).toThrow(MappingError);
    expect(() => new MappedMemory(2 ** 52)).toThrow(/cannot allocate \d+ bytes/);
  });
});
