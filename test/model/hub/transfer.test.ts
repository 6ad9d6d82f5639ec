/** Downloads one file from a hub into the cache, over a real connection with many kinds of faults. */
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Connection, RETRY_POLICY } from '../../../src/model/hub/connection.ts';
import { fileUrl, type RepositoryFile, readRepository } from '../../../src/model/hub/repository.ts';
import { download } from '../../../src/model/hub/transfer.ts';
import { noise } from '../../support/hub-models.ts';
import { type Fault, HubServer, sha256 } from '../../support/hub-server.ts';
import { reasonOf } from '../folders.ts';

const REFERENCE = { repo: 'tiny/noise', folder: '', revision: 'main' };
const LARGE = noise(300_000);
const SMALL = noise(700, 2);
const quick = { ...RETRY_POLICY, stallMs: 1500, backoffMs: 1, tries: 4 };

let hub: HubServer;
let folder: string;
const reported: string[] = [];

beforeAll(async () => {
  hub = await HubServer.start({
    'tiny/noise': {
      files: { 'a.onnx': { bytes: LARGE, lfs: true }, 'b.json': { bytes: SMALL }, empty: { bytes: new Uint8Array() } },
    },
  });
});
afterAll(() => hub.close());
beforeEach(async () => {
  hub.seen.length = 0;
  reported.length = 0;
  folder = await mkdtemp(join(tmpdir(), 'transfer-'));
});

/**
 * Downloads a file of the repository with the given faults. Returns its blob's path, the progress and the
 * error.
 */
async function fetched(path: string, faults: readonly Fault[] = [], connection = connect()) {
  const repository = await readRepository(connection, REFERENCE);
  const file = repository.files.find((one) => one.path === path) as RepositoryFile;
  const blob = join(folder, file.etag);
  const reports: number[] = [];
  hub.fail(path, ...faults);
  const outcome = reasonOf(
    download(connection, {
      url: fileUrl(hub.url, repository, path),
      file,
      blob,
      onProgress: (bytes) => reports.push(bytes),
    }),
  );
  return { blob, reports, error: await outcome };
}

function connect(policy = quick): Connection {
  return new Connection(
    { endpoint: hub.url, token: undefined },
    REFERENCE,
    (sentence) => reported.push(sentence),
    policy,
  );
}

async function expectWhole(blob: string, bytes: Uint8Array): Promise<void> {
  expect(Buffer.compare(await readFile(blob), bytes)).toBe(0);
  expect(existsSync(`${blob}.incomplete`)).toBe(false);
}

describe('a download completes without requesting bytes twice', () => {
  test.each([
    ['no fault', []],
    ['a cut in the middle', [{ cut: 100_000 }]],
    ['several cuts', [{ cut: 100_000 }, { cut: 1 }, { cut: 99_999 }]],
    ['a cut before the first byte', [{ cut: 0 }]],
    ['a stalled connection', [{ hang: 100_000 }]],
    ['server errors', [{ status: 500 }, { status: 503 }]],
    ['an expired signed URL', [{ cut: 50_000 }, { status: 403 }]],
    ['another range than requested', [{ cut: 50_000 }, 'other range']],
  ] satisfies [string, Fault[]][])('with %s', async (_, faults) => {
    const { blob, error, reports } = await fetched('a.onnx', faults);
    expect(error).toBeUndefined();
    await expectWhole(blob, LARGE);
    expect(reports).toEqual([...reports].sort((a, b) => a - b));
    expect(reports.at(-1)).toBe(LARGE.byteLength);
    expect(reported).toHaveLength(faults.length);
    const tries = hub.triesOf('a.onnx');
    expect(tries).toHaveLength(faults.length + 1);
    // Bytes in flight can be lost when a connection breaks; the next try begins at the end of the partial
    // file.
    const starts = tries.map(({ range }) => Number(/^bytes=(\d+)-$/.exec(range ?? 'bytes=0-')?.[1]));
    for (const start of starts) expect([0, ...reports]).toContain(start);
    expect(starts).toEqual([...starts].sort((a, b) => a - b));
  });

  test('of a file outside LFS, and of an empty file', async () => {
    const small = await fetched('b.json', [{ cut: 300 }]);
    expect(small.error).toBeUndefined();
    await expectWhole(small.blob, SMALL);
    const empty = await fetched('empty');
    expect(empty.error).toBeUndefined();
    await expectWhole(empty.blob, new Uint8Array());
    expect(hub.triesOf('empty')).toEqual([]);
  });

  test('after an earlier process left a partial file', async () => {
    const first = await fetched('a.onnx', Array<Fault>(4).fill({ status: 500 }));
    await writeFile(`${first.blob}.incomplete`, LARGE.subarray(0, 123_456));
    hub.seen.length = 0;
    const { blob, error, reports } = await fetched('a.onnx');
    expect(error).toBeUndefined();
    await expectWhole(blob, LARGE);
    expect(hub.sentOf('a.onnx')).toBe(LARGE.byteLength - 123_456);
    expect(reports[0]).toBe(123_456);
  });

  test('if all bytes are on the disk and only the checksum was not verified', async () => {
    const { blob } = await fetched('b.json', Array<Fault>(4).fill({ status: 500 }));
    await writeFile(`${blob}.incomplete`, SMALL);
    hub.seen.length = 0;
    expect((await fetched('b.json')).error).toBeUndefined();
    await expectWhole(blob, SMALL);
    expect(hub.triesOf('b.json')).toEqual([]);
  });
});

test('a download from a server that ignores Range skips the bytes on the disk', async () => {
  const { blob, error, reports } = await fetched('a.onnx', [{ cut: 200_000 }, 'no range']);
  expect(error).toBeUndefined();
  await expectWhole(blob, LARGE);
  expect(hub.sentOf('a.onnx')).toBe(200_000 + LARGE.byteLength);
  expect(reports).toEqual([...reports].sort((a, b) => a - b));
});

test('a server that announces 1 TB for a small file does not keep the download from its end', async () => {
  const { blob, error } = await fetched('b.json', [{ status: 200, headers: { 'content-length': '1000000000000' } }]);
  expect(error).toBeUndefined();
  await expectWhole(blob, SMALL);
});

describe('a wrong checksum', () => {
  test.each([
    ['wrong bytes', ['wrong bytes']],
    ['too many bytes', [{ length: 400_000 }]],
    ['wrong bytes behind a cut', [{ cut: 1000 }, 'wrong bytes']],
  ] satisfies [string, Fault[]][])('starts the download over once: %s', async (_, faults) => {
    const { blob, error, reports } = await fetched('a.onnx', faults);
    expect(error).toBeUndefined();
    await expectWhole(blob, LARGE);
    expect(hub.triesOf('a.onnx').at(-1)?.range).toBeUndefined();
    expect(reports).toContain(0);
  });

  test('fails the download the second time, and leaves no file and no partial file', async () => {
    const { blob, error } = await fetched('a.onnx', ['wrong bytes', 'wrong bytes']);
    expect(String(error)).toMatch(/a\.onnx arrived damaged twice: its checksum is not [0-9a-f]{64}/);
    expect([existsSync(blob), existsSync(`${blob}.incomplete`)]).toEqual([false, false]);
    expect(hub.triesOf('a.onnx')).toHaveLength(2);
  });

  test('of a partial file of an earlier process starts the download over', async () => {
    const { blob } = await fetched('b.json', Array<Fault>(4).fill({ status: 500 }));
    await writeFile(`${blob}.incomplete`, noise(100, 99));
    const { error } = await fetched('b.json');
    expect(error).toBeUndefined();
    await expectWhole(blob, SMALL);
  });

  test('does not follow from a content-length that is too small: the rest is requested', async () => {
    const { blob, error } = await fetched('a.onnx', [{ length: 250_000 }]);
    expect(error).toBeUndefined();
    await expectWhole(blob, LARGE);
    expect(hub.triesOf('a.onnx').map(({ range }) => range)).toEqual([undefined, 'bytes=250000-']);
  });
});

describe('a download gives up', () => {
  test('after the allowed number of tries without progress, names file and cause, and keeps the partial file', async () => {
    const { blob, error } = await fetched('a.onnx', [{ hang: 5000 }, ...Array<Fault>(4).fill({ status: 502 })]);
    expect(String(error)).toMatch(
      /^PullError: a\.onnx could not be downloaded: 127\.0\.0\.1:\d+ answers 502 \(4 tries\)\.$/,
    );
    expect(hub.triesOf('a.onnx')).toHaveLength(4);
    expect((await stat(`${blob}.incomplete`)).size).toBe(5000);
    expect(existsSync(blob)).toBe(false);
  });

  test('never while every try makes progress', async () => {
    const { error } = await fetched('a.onnx', Array<Fault>(8).fill({ cut: 30_000 }));
    expect(error).toBeUndefined();
    expect(hub.triesOf('a.onnx')).toHaveLength(9);
  });

  test.each([
    ['in a circle', (): string => `${hub.url}/tiny/noise/resolve/main/b.json`, /redirects more than 5 times/],
    ['to a file of this machine', (): string => 'file:///etc/passwd', /invalid or insecure address/],
    ['to nowhere', (): string => 'http://', /invalid or insecure address/],
  ])('at once for redirects %s', async (_, target, reason) => {
    const { error } = await fetched('b.json', Array<Fault>(20).fill({ redirect: target() }));
    expect(String(error)).toMatch(reason);
  });

  test('at once if the partial file is a link, which could lead anywhere', async () => {
    const { blob } = await fetched('b.json', Array<Fault>(4).fill({ status: 500 }));
    const target = join(folder, 'elsewhere');
    await writeFile(target, 'precious');
    await rm(`${blob}.incomplete`);
    await symlink(target, `${blob}.incomplete`);
    expect((await fetched('b.json')).error).toMatchObject({ code: 'ELOOP' });
    expect(await readFile(target, 'utf8')).toBe('precious');
  });
});

describe('a server that sends too slowly', () => {
  /** The least rate, 64 KiB in a minute, in the time of a test: 600 bytes in 300 ms. */
  const impatient = { ...quick, leastBytes: 600, rateWindowMs: 300 };

  test('is broken off like a silent one; its bytes are no progress, and the partial file stays', async () => {
    const { blob, error } = await fetched('a.onnx', Array<Fault>(9).fill({ dripMs: 20 }), connect(impatient));
    expect(String(error)).toMatch(
      /^PullError: a\.onnx could not be downloaded: received \d+ bytes in 0\.3 s, at least 600 are required \(4 tries\)\.$/,
    );
    expect(hub.triesOf('a.onnx')).toHaveLength(4);
    expect((await stat(`${blob}.incomplete`)).size).toBeGreaterThan(0);
  });

  test('is broken off by the silence after its bytes too, without progress', async () => {
    const silent = { ...quick, stallMs: 300, leastBytes: 10_000, rateWindowMs: 3000 };
    const { error } = await fetched('a.onnx', Array<Fault>(9).fill({ hang: 9 }), connect(silent));
    expect(String(error)).toMatch(/received no data for 0\.3 s \(4 tries\)/);
  });

  test('and the rate of a modem is fast enough', () => {
    const modemBytes = (56_000 / 8) * (RETRY_POLICY.rateWindowMs / 1000);
    expect(RETRY_POLICY.leastBytes).toBeLessThan(modemBytes / 4);
    expect(RETRY_POLICY.rateWindowMs).toBe(60_000);
  });

  test('once is asked again, and the download completes', async () => {
    const { blob, error } = await fetched('a.onnx', [{ hang: 100_000 }, { status: 500 }], connect(impatient));
    expect(error).toBeUndefined();
    await expectWhole(blob, LARGE);
  });
});

describe('content that a server compresses, although identity was requested', () => {
  test('is accepted if the file is right', async () => {
    const zeros = new Uint8Array(3_000_000);
    hub.put('tiny/zeros', { files: { zeros: { bytes: zeros, lfs: true } } });
    const file: RepositoryFile = { path: 'zeros', size: zeros.length, etag: sha256(zeros), hash: 'sha256' };
    const blob = join(folder, 'zeros');
    hub.fail('zeros', { gzipOf: zeros.length });
    const url = new URL(`${hub.url}/tiny/zeros/resolve/main/zeros`);
    await download(connect(), { url, file, blob, onProgress: () => undefined });
    await expectWhole(blob, zeros);
  });

  test('is not expanded beyond the size of the file: 300 MB', async () => {
    const before = process.memoryUsage.rss();
    const { blob, error } = await fetched('a.onnx', [{ gzipOf: 3e8 }, { gzipOf: 3e8 }]);
    expect(String(error)).toMatch(/a\.onnx arrived damaged twice/);
    expect(existsSync(blob)).toBe(false);
    expect(process.memoryUsage.rss() - before).toBeLessThan(200e6);
  });
});

describe('Retry-After', () => {
  test('in seconds is respected', async () => {
    const began = performance.now();
    const { error } = await fetched('a.onnx', [{ status: 429, headers: { 'retry-after': '1' } }]);
    expect(error).toBeUndefined();
    expect(performance.now() - began).toBeGreaterThanOrEqual(990);
    expect(reported[0]).toMatch(/answers 429; try 2 of 4 in 1\.0 s/);
  });

  test('as a date is respected', async () => {
    const later = new Date(Date.now() + 2500).toUTCString();
    const { error } = await fetched('a.onnx', [{ status: 503, headers: { 'retry-after': later } }]);
    expect(error).toBeUndefined();
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(later));
  });

  test('of an hour ends the download with a message', async () => {
    const { error } = await fetched('a.onnx', [{ status: 429, headers: { 'retry-after': '3600' } }]);
    expect(String(error)).toMatch(/a\.onnx: .* answers 429 and asks for a wait of 3600 s: try again later/);
  });
});
