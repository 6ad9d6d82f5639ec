/** The parts of the check on a GPU that need no process: time, tables, markers, figures, goals, the pack. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { deadlinesOf, limited, Skipped, turnMs, within } from '../../../scripts/check-gpu/budget.ts';
import { bandwidthOf, cardDevices, obstaclesOf } from '../../../scripts/check-gpu/card.ts';
import { inParallel, Results, type Setup } from '../../../scripts/check-gpu/check.ts';
import { HELP, readCommandLine } from '../../../scripts/check-gpu/command-line.ts';
import { keepArchitecture } from '../../../scripts/check-gpu/fat-binary.ts';
import { decodeRate, median, rate } from '../../../scripts/check-gpu/figures.ts';
import { goalsOf, goalsSection } from '../../../scripts/check-gpu/goals.ts';
import { Models } from '../../../scripts/check-gpu/models.ts';
import { partsOf } from '../../../scripts/check-gpu/pack.ts';
import { BEGIN, END, markdownOf, Page, table, withMarked } from '../../../scripts/check-gpu/page.ts';
import { noteMode } from '../../../scripts/check-gpu/simpler-modes.ts';
import type { DeviceProbe } from '../../../src/protocol/probe.ts';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

describe('the time of a part', () => {
  const shares = { first: 1, second: 2, third: 1 };

  test('ends at the sum of the shares', () => {
    const parts = deadlinesOf(1000, shares, () => 0);
    expect(Object.values(parts).map(({ leftMs }) => leftMs())).toEqual([250, 750, 1000]);
  });

  test('gets what the parts before it leave, and a part that is too long takes nothing from them', () => {
    let now = 0;
    const parts = deadlinesOf(1000, shares, () => now);
    now = 100;
    expect(parts.second.leftMs()).toBe(650);
    now = 900;
    expect([parts.second.leftMs(), parts.third.leftMs()]).toEqual([0, 100]);
    expect([parts.third.fits(100), parts.third.fits(101)]).toEqual([true, false]);
  });

  test('limits a piece of work', () => {
    let now = 0;
    const clock = (): number => now;
    const { second } = deadlinesOf(1000, shares, clock);
    const piece = limited(second, 300, clock);
    expect([piece.leftMs(), piece.fits(301)]).toEqual([300, false]);
    now = 600;
    expect(limited(second, 300, clock).leftMs()).toBe(150);
  });
});

describe('the time of a device', () => {
  test('is its share of the time that is left, and all of it for the last device', () => {
    expect(turnMs(1000, [0.7, 0.3], 0)).toBe(700);
    // The first device took too long, or ended early.
    expect([turnMs(100, [0.7, 0.3], 1), turnMs(600, [0.7, 0.3], 1)]).toEqual([100, 600]);
    expect([turnMs(1000, [1], 0), turnMs(-5, [0.7, 0.3], 1)]).toEqual([1000, 0]);
  });
});

test('no model is made after the end', async () => {
  const models = new Models(tmpdir(), true);
  models.stop();
  await expect(models.make('8 B', 'q4')).rejects.toThrow('not made any more');
});

describe('work that cannot be ended', () => {
  const part = (ms: number) => limited(deadlinesOf(1e6, { all: 1 }).all, ms);

  test('is waited for until the deadline', async () => {
    const never = new Promise<void>(() => undefined);
    await expect(within(part(1), never, 'the model is not ready')).rejects.toThrow(Skipped);
    await expect(within(part(1), never, 'the model is not ready')).rejects.toThrow('skipped: the model is not ready');
  });

  test('has its result and its error, also at the deadline', async () => {
    expect(await within(part(0), Promise.resolve(1), '')).toBe(1);
    await expect(within(part(1e5), Promise.reject(new Error('no disk')), '')).rejects.toThrow('no disk');
  });
});

describe('the page', () => {
  test('has tables whose cells hold bars and line breaks', () => {
    expect(table(['a', 'b'], [['1|2', 'x\ny']])).toBe('| a | b |\n| --- | --- |\n| 1\\|2 | x y |');
  });

  test('keeps lines of text within 120 columns', () => {
    const text = markdownOf([{ title: 'T', text: ['word '.repeat(60)] }]);
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(120);
    expect(text.match(/word/g)).toHaveLength(60);
  });

  test('replaces the text between its markers only', () => {
    const page = `before\n${BEGIN}\nold\n${END}\nafter\n`;
    expect(withMarked(page, 'new\n')).toBe(`before\n${BEGIN}\n\nnew\n\n${END}\nafter\n`);
    expect(withMarked(withMarked(page, 'one'), 'two')).toBe(withMarked(page, 'two'));
  });

  test.each([
    ['none', ''],
    ['one', BEGIN],
    ['the wrong order', `${END}${BEGIN}`],
    ['two', `${BEGIN}${BEGIN}${END}`],
  ])('refuses a page with markers: %s', (_, page) => {
    expect(() => withMarked(page, 'new')).toThrow('once each, in this order');
  });

  test('is written after each section, and a section of the same title is replaced', () => {
    const folder = mkdtempSync(join(tmpdir(), 'page-'));
    folders.push(folder);
    const file = join(folder, 'page.md');
    writeFileSync(file, `# Page\n\n${BEGIN}\n${END}\n\nEnd\n`);
    const page = new Page(file);
    page.put({ title: 'One', text: ['first'] });
    expect(readFileSync(file, 'utf8')).toContain('### One\n\nfirst');
    page.put({ title: 'Two' });
    page.put({ title: 'One', text: ['second'] });
    const text = readFileSync(file, 'utf8');
    expect(text).toBe(`# Page\n\n${BEGIN}\n\n### One\n\nsecond\n\n### Two\n\n${END}\n\nEnd\n`);
  });

  test('makes its folder, and leaves no other file there', () => {
    const folder = mkdtempSync(join(tmpdir(), 'page-'));
    folders.push(folder);
    const file = join(folder, 'new', 'page.md');
    new Page(file).put({ title: 'One' });
    expect(readFileSync(file, 'utf8')).toBe('### One\n');
    expect(readdirSync(join(folder, 'new'))).toEqual(['page.md']);
    // A link stays a link.
    symlinkSync(file, join(folder, 'link.md'));
    new Page(join(folder, 'link.md')).put({ title: 'Two' });
    expect(readFileSync(file, 'utf8')).toBe('### Two\n');
  });

  test('that cannot be written is reported once and printed at the end, if it is not written until then', () => {
    const folder = mkdtempSync(join(tmpdir(), 'page-'));
    folders.push(folder);
    const file = join(folder, 'page.md');
    const [reports, printed]: [string[], string[]] = [[], []];
    const page = new Page(file, (text) => reports.push(text));
    mkdirSync(file);
    page.put({ title: 'One', text: ['first'] });
    page.put({ title: 'Two' });
    expect(reports).toEqual([expect.stringContaining('EISDIR')]);
    page.finish((text) => printed.push(text));
    expect(printed).toEqual(['### One\n\nfirst\n\n### Two\n']);
    rmSync(file, { recursive: true });
    page.put({ title: 'Three' });
    page.finish((text) => printed.push(text));
    expect(printed).toHaveLength(1);
    expect(readFileSync(file, 'utf8')).toContain('### Three');
  });

  test('of the documentation has the markers', () => {
    expect(() => withMarked(readFileSync('docs/devices.md', 'utf8'), '')).not.toThrow();
  });
});

describe('figures', () => {
  test('the median of odd and of even numbers of values', () => {
    expect([median([3, 1, 2]), median([4, 1, 3, 2])]).toEqual([2, 2.5]);
  });

  test('the rate counts the time in which all rows decode', () => {
    const output = (...at: number[]) => ({ ids: at, at, busy: at.map((ms) => ms / 2) });
    // From 20, the first token of the second row, to 40, the last token of the first one: 4 tokens in 20 ms.
    expect(decodeRate([output(0, 10, 20, 30, 40), output(20, 30, 40, 50)])).toBe(200);
    expect(decodeRate([output(5)])).toBeNaN();
  });

  test('a rate does not count reports that were read together as fast steps', () => {
    const late = { ids: [1, 2, 3], at: [10, 10, 10], busy: [0, 4, 8] };
    expect(decodeRate([late])).toBe(250);
  });

  test('are shown with three digits where they are small', () => {
    expect([rate(3.06), rate(1234.5), rate(undefined), rate(Number.NaN)]).toEqual(['3.1', '1235', '–', '–']);
  });
});

describe('the card', () => {
  test.each([
    ['NVIDIA H100 80GB HBM3', 3.35e12],
    ['NVIDIA H100 PCIe', 2e12],
    ['NVIDIA H200', 4.8e12],
    ['NVIDIA A100-SXM4-40GB', 1.555e12],
    ['NVIDIA A100-SXM4-80GB', 2.039e12],
    ['NVIDIA L4', 0.3e12],
    ['NVIDIA L40S', 0.864e12],
    ['NVIDIA GeForce RTX 4090', 1.008e12],
    ['NVIDIA GeForce GTX 1080', undefined],
  ])('%s has its bandwidth', (name, bandwidth) => {
    expect(bandwidthOf(name)).toBe(bandwidth);
  });

  test('has CUDA if nothing prevents it, and WebGPU if its driver is no renderer in software', () => {
    const probe = (software: boolean): DeviceProbe => ({
      koffiVersion: '',
      threads: { count: 1, limit: 'cores' } as unknown as DeviceProbe['threads'],
      devices: [{ name: 'cuda-0' }, { name: 'webgpu' }, { name: 'cpu' }],
      vulkan: [{ name: 'card', totalBytes: 1, software }],
    });
    expect(cardDevices(probe(false))).toEqual(['cuda-0', 'webgpu']);
    expect(cardDevices(probe(true))).toEqual(['cuda-0']);
  });
});

describe('an engine that decodes in a simpler mode than asked', () => {
  const folder = mkdtempSync(join(tmpdir(), 'page-'));
  const file = join(folder, 'page.md');
  const check = { page: new Page(file), results: new Results() };
  const asked = { device: 'cuda-0', mode: 'captured', model: '135 M, fp16' } as const;
  afterEach(() => folders.push(folder));

  test('is marked, and its reason is in a table of its own, once', () => {
    const limited = { mode: 'eager', reason: 'fails', detail: 'CUDA failure 719' } as const;
    expect(noteMode(check, asked, { gpuGraph: { mode: 'captured' } })).toBe('');
    expect(noteMode(check, asked, {})).toBe('');
    expect(check.results.simpler.size).toBe(0);
    for (let time = 0; time < 2; time += 1) expect(noteMode(check, asked, { gpuGraph: limited })).toBe(', as eager');
    const text = readFileSync(file, 'utf8');
    expect(text.match(/\| cuda-0 \| 135 M, fp16 \| captured \| eager \| fails \| CUDA failure 719 \|/g)).toHaveLength(
      1,
    );
  });
});

test('a machine without a card is told what each device lacks', () => {
  const probe = {
    devices: [
      { name: 'cuda-0', obstacle: { code: 'no_driver' }, autoObstacle: { code: 'no_driver' } },
      { name: 'webgpu', autoObstacle: { code: 'software_renderer', name: 'SwiftShader' } },
      { name: 'coreml', obstacle: { code: 'no_driver' } },
      { name: 'cpu' },
    ],
  } as unknown as DeviceProbe;
  expect(obstaclesOf(probe)).toEqual(['cuda-0: no NVIDIA driver', expect.stringMatching(/^webgpu: .*SwiftShader/)]);
});

describe('goals', () => {
  const setup = (mode: Setup['mode']): Setup => ({ device: 'cuda-0', shape: '135 M', format: 'fp16', mode });

  test('are reached, missed or not measured', () => {
    const results = new Results();
    for (const [mode, one] of [
      ['eager', 300],
      ['captured', 1000],
    ] as const)
      results.setRate(setup(mode), 1, one);
    results.setRate(setup('captured'), 16, 8000);
    const large = { ...setup('captured'), shape: '8 B', format: 'q4' } as const;
    results.setRate(large, 1, 400);
    results.setBytes(large, 5e9);
    const { rows = [] } = goalsSection(goalsOf({ results, bandwidth: 4.8e12 }, ['cuda-0']));
    expect(rows.map((cells) => cells.at(-1))).toEqual(['reached', '–', 'reached', 'missed', 'missed', '–']);
    expect(rows[4]?.[2]).toBe('41.7 %');
  });
});

describe('the command line', () => {
  test('has a help that fits a terminal', () => {
    const lines = HELP.trimEnd().split('\n');
    expect(lines.length).toBeLessThanOrEqual(24);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  test('refuses minutes that are no number, and unknown options', () => {
    expect(readCommandLine(['--minutes', '2.5']).minutes).toBe(2.5);
    for (const text of ['0', 'x', '-1']) expect(() => readCommandLine([`--minutes=${text}`])).toThrow('--minutes');
    expect(() => readCommandLine(['--card'])).toThrow('--card');
  });

  test('writes a rehearsal to another file than the tables of a card', () => {
    expect(readCommandLine([]).out).toMatch(/docs.devices\.md$/);
    expect(readCommandLine(['--rehearse']).out).toMatch(/build.check-gpu-rehearsal\.md$/);
    expect(readCommandLine(['--rehearse', '--out', 'x']).out).toBe('x');
  });
});

test('the parts of a pack are the archive, and none exceeds the limit', () => {
  const bytes = Uint8Array.from({ length: 25 }, (_, index) => index);
  const parts = partsOf(bytes, 10);
  expect(parts.map(({ length }) => length)).toEqual([10, 10, 5]);
  expect(Buffer.concat(parts)).toEqual(Buffer.from(bytes));
  expect(partsOf(new Uint8Array(0), 10)).toHaveLength(1);
});

test('work in parallel is done once each, at most so many at a time', async () => {
  const done: number[] = [];
  let [now, most] = [0, 0];
  await inParallel(3, [1, 2, 3, 4, 5, 6, 7], async (item) => {
    now += 1;
    most = Math.max(most, now);
    await Promise.resolve();
    done.push(item);
    now -= 1;
  });
  expect([done.sort(), most]).toEqual([[1, 2, 3, 4, 5, 6, 7], 3]);
});

describe('a library for CUDA', () => {
  /** A container with entries `[kind, architecture, code]`. */
  function container(...entries: readonly (readonly [kind: number, architecture: number, code: number[]])[]): Buffer {
    const parts = entries.map(([kind, architecture, code]) => {
      const header = Buffer.alloc(64);
      header.writeUInt16LE(kind, 0);
      header.writeUInt32LE(64, 4);
      header.writeBigUInt64LE(BigInt(code.length), 8);
      header.writeUInt32LE(architecture, 28);
      return Buffer.concat([header, Buffer.from(code)]);
    });
    const all = Buffer.concat(parts);
    const head = Buffer.alloc(16);
    head.writeUInt32LE(0xba55ed50, 0);
    head.writeUInt16LE(1, 4);
    head.writeUInt16LE(16, 6);
    head.writeBigUInt64LE(BigInt(all.length), 8);
    return Buffer.concat([head, all]);
  }
  const code = (value: number): number[] => new Array(24).fill(value);

  test('keeps the code of one architecture and code for every card, at their positions', () => {
    const make = (other: number): Buffer =>
      Buffer.concat([
        Buffer.from('before'),
        container([2, 80, code(other)], [2, 90, code(7)], [1, 80, code(8)]),
        Buffer.from('between'),
        container([2, 90, code(9)], [2, 120, code(other)]),
        Buffer.from('after'),
      ]);
    const library = make(5);
    expect(keepArchitecture(library, 90)).toEqual({ kept: 72, cleared: 48 });
    expect(library).toEqual(make(0));
  });

  test('leaves bytes alone that only begin as a container', () => {
    const cut = container([2, 80, code(5)]).subarray(0, 60);
    const wrong = container([2, 80, code(5)]);
    wrong.writeUInt32LE(2 ** 30, 20);
    for (const bytes of [cut, wrong]) {
      const library = Buffer.concat([bytes, Buffer.from('rest')]);
      const before = Buffer.from(library);
      expect(keepArchitecture(library, 90).cleared).toBe(0);
      expect(library).toEqual(before);
    }
  });
});
