/** The queue of log lines with stalled readers and full disks: in order, whole lines, bounded, lost lines are counted. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Backlog, fileTarget, streamTarget } from '../../src/narration/backlog.ts';
import { MemoryStream } from './memory-stream.ts';

const lines = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, index) => `{"line":${from + index}}`);
const push = (backlog: Backlog, all: readonly string[]): void => {
  for (const line of all) backlog.push(`${line}\n`);
};

describe('a reader that stalls', () => {
  test('gets every line in order once it reads again', async () => {
    const stream = new MemoryStream();
    const backlog = new Backlog(streamTarget(stream));
    stream.hold();
    push(backlog, lines(0, 20_000));
    expect(stream.lines.length).toBeLessThan(5000);
    stream.release();
    expect(await backlog.flush()).toBe(0);
    expect(stream.lines).toEqual(lines(0, 20_000));
    expect(backlog.takeLost()).toBe(0);
  });

  test('delays the flush as long as it makes some progress', async () => {
    const stream = new MemoryStream();
    const backlog = new Backlog(streamTarget(stream));
    stream.hold();
    push(backlog, lines(0, 100_000));
    const reading = setInterval(() => stream.takeOne(), 75);
    // Each pause is shorter than the idle limit; all pauses together are longer.
    const began = performance.now();
    expect(await backlog.flush(1000)).toBe(0);
    clearInterval(reading);
    expect(performance.now() - began).toBeGreaterThan(1000);
    expect(stream.lines).toEqual(lines(0, 100_000));
  });

  test('without any progress ends the flush, and the unwritten lines are counted', async () => {
    const stream = new MemoryStream();
    const backlog = new Backlog(streamTarget(stream));
    stream.hold();
    push(backlog, lines(0, 100));
    expect(await backlog.flush(50)).toBe(100);
  });

  test('with too little progress ends the flush at the longest time', async () => {
    const stream = new MemoryStream();
    const backlog = new Backlog(streamTarget(stream));
    stream.hold();
    push(backlog, lines(0, 200_000));
    const reading = setInterval(() => stream.takeOne(), 30);
    expect(await backlog.flush(600_000, 100)).toBeGreaterThan(0);
    clearInterval(reading);
  });

  test('that leaves does not delay the flush', async () => {
    const stream = new MemoryStream();
    const backlog = new Backlog(streamTarget(stream));
    stream.hold();
    push(backlog, lines(0, 10));
    stream.emit('error', Object.assign(new Error('broken pipe'), { code: 'EPIPE' }));
    expect(await backlog.flush()).toBe(0);
    push(backlog, lines(10, 20));
    expect(stream.lines).toEqual(lines(0, 1));
  });
});

describe('a disk', () => {
  /** A file with limited free space, in bytes. */
  class Disk {
    text = '';
    room: number;
    constructor(room: number) {
      this.room = room;
    }
    readonly write = (_fd: number, bytes: Uint8Array): number => {
      if (this.room === 0) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
      const some = bytes.subarray(0, this.room);
      this.text += Buffer.from(some).toString('latin1');
      this.room -= some.length;
      return some.length;
    };
  }

  test('that is full for a while loses no line and breaks no line', async () => {
    const disk = new Disk(100);
    const backlog = new Backlog(fileTarget(1, disk.write));
    push(backlog, lines(0, 1000));
    expect(disk.text).toHaveLength(100);
    disk.room = 150; // in the middle of a line again
    await expect.poll(() => disk.text.length).toBe(250);
    disk.room = 1_000_000;
    await expect.poll(() => backlog.length).toBe(0);
    expect(disk.text).toBe(
      lines(0, 1000)
        .map((line) => `${line}\n`)
        .join(''),
    );
    expect(backlog.takeLost()).toBe(0);
  });

  test('that stays full keeps 16 MiB of lines in the queue and reports the lost ones when there is room', async () => {
    const disk = new Disk(0);
    const backlog = new Backlog(fileTarget(1, disk.write));
    const line = `${'x'.repeat(1023)}\n`;
    for (let count = 0; count < 20_000; count += 1) backlog.push(line);
    expect(backlog.length).toBe(16_384);
    expect(backlog.takeLost()).toBe(0); // no room for a line that reports them
    expect(backlog.lostInAll).toBe(20_000 - 16_384);
    disk.room = Number.POSITIVE_INFINITY;
    await expect.poll(() => backlog.length).toBe(0);
    expect(backlog.takeLost()).toBe(20_000 - 16_384);
    expect(backlog.takeLost()).toBe(0);
    expect(backlog.lostInAll).toBe(20_000 - 16_384);
  });

  test('that is full at the end does not delay the flush', async () => {
    const disk = new Disk(0);
    const backlog = new Backlog(fileTarget(1, disk.write));
    push(backlog, lines(0, 3));
    const never = sleep(20_000, 'waited', { ref: false });
    expect(await Promise.race([backlog.flush(), never])).toBe(3);
  });
});
