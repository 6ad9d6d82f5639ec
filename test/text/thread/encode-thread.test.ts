/**
 * Long texts are encoded on a separate thread: event loop, order, cancellation, deadline, faults and the end of
 * the thread.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { THREAD_LIMITS, type ThreadLimits } from '../../../src/text/thread/encode-thread.ts';
import { MAX_OVERTAKEN } from '../../../src/text/thread/job-thread.ts';
import { Tokenizer } from '../../../src/text/tokenizer/tokenizer.ts';
import { builtThread, haikuFiles } from '../tokenizer/small-tokenizers.ts';

const plain = { addSpecialTokens: false } as const;
const long = 'A line about the sea and the moon. '.repeat(100);

let tokenizer: Tokenizer;
beforeEach(async () => {
  if (!existsSync(builtThread)) throw new Error('dist/ is not built. Run npm run build.');
  tokenizer = await Tokenizer.open(haikuFiles, { threadEntry: builtThread });
});
afterEach(() => tokenizer.close());

/** A thread with the given answer to each text, to force faults. It lists the texts in their order. */
async function faulty(
  answer: string,
  options: { limits?: Partial<ThreadLimits>; onReplaced?: (reason: string) => void } = {},
): Promise<Tokenizer> {
  const file = join(await mkdtemp(join(tmpdir(), 'thread-')), 'thread.mjs');
  await writeFile(
    file,
    `import { parentPort } from 'node:worker_threads';
     let asked = 0;
     parentPort.on('message', ({ input }) => { ${answer} });
     parentPort.postMessage({ type: 'ready' });`,
  );
  return Tokenizer.open(haikuFiles, {
    threadEntry: pathToFileURL(file),
    threadLimits: { ...THREAD_LIMITS, ...options.limits },
    ...(options.onReplaced && { onThreadReplaced: options.onReplaced }),
  });
}

/** Number of ticks of a 1 ms timer while something runs: work on this thread blocks the timer. */
async function ticksDuring(run: () => Promise<unknown>): Promise<number> {
  let ticks = 0;
  const timer = setInterval(() => {
    ticks += 1;
  }, 1);
  await run();
  clearInterval(timer);
  return ticks;
}

describe('a long text', () => {
  it('gets the same ids as on the event loop', async () => {
    const ids = await tokenizer.encode(long, plain);
    expect(tokenizer.decode(ids)).toBe(long);
    expect((await tokenizer.encode(long, { addSpecialTokens: true })).slice(0, 2)).toEqual([0, ids[0]]);
    const word = await tokenizer.encode('A line', plain);
    expect(ids.slice(0, word.length)).toEqual(word);
  });

  it('of 200 kB leaves the event loop free', async () => {
    const texts = ['The sea, the moon; a line of words. '.repeat(5_600), '日本語'.repeat(22_000), 'a'.repeat(200_000)];
    for (const text of texts) {
      let ids: number[] = [];
      const ticks = await ticksDuring(async () => {
        ids = await tokenizer.encode(text, plain);
      });
      expect(ticks).toBeGreaterThan(5);
      expect(tokenizer.decode(ids)).toBe(text);
    }
  });

  it('gets its own ids when several texts are encoded together', async () => {
    const texts = Array.from({ length: 12 }, (_, n) => `${n} `.repeat(n % 3 === 0 ? 3 : 1_500));
    const ids = await Promise.all(texts.map((text) => tokenizer.encode(text, plain)));
    expect(ids.map((list) => tokenizer.decode(list))).toEqual(texts);
  });

  it('is rejected when its signal aborts, waiting or running; the others are not', async () => {
    const reader = new AbortController();
    const signal = reader.signal;
    const running = tokenizer.encode(long.repeat(50), { ...plain, signal });
    const waiting = tokenizer.encode(long, { ...plain, signal });
    const other = tokenizer.encode(long, plain);
    reader.abort(new Error('left'));
    await expect(running).rejects.toThrow('left');
    await expect(waiting).rejects.toThrow('left');
    expect(tokenizer.decode(await other)).toBe(long);
  });
});

const COUNTS = "parentPort.postMessage({ type: 'ids', ids: [++asked] });";

describe('a lost thread', () => {
  it('rejects its text only; the others get their ids from a new thread', async () => {
    const weak = await faulty(`
      if (input.startsWith('die')) process.exit(3);
      if (input.startsWith('throw')) throw new Error('thread');
      if (input.startsWith('fail')) parentPort.postMessage({ type: 'failed', message: 'no' });
      else ${COUNTS}`);
    const say = (word: string): Promise<number[]> => weak.encode(word.padEnd(3_000), plain);
    expect([await say('a'), await say('b')]).toEqual([[1], [2]]);
    const pending = await Promise.allSettled([say('die'), say('c'), say('d')]);
    expect(pending.map((one) => (one.status === 'fulfilled' ? one.value : String(one.reason)))).toEqual([
      'Error: The tokenizer thread was lost.',
      [1],
      [2],
    ]);
    await expect(say('throw')).rejects.toThrow('The tokenizer thread was lost.');
    expect(await say('f')).toEqual([1]);
    await expect(say('fail')).rejects.toThrow('could not be encoded');
    expect(await say('g')).toEqual([2]);
    await weak.close();
  });

  it('that cannot start rejects too', async () => {
    const none = await Tokenizer.open(haikuFiles, { threadEntry: new URL('./gone.js', builtThread) });
    const pending = await Promise.allSettled([none.encode(long, plain), none.encode(long, plain)]);
    expect(pending.map((one) => one.status === 'rejected' && String(one.reason))).toEqual(
      new Array(2).fill('Error: The tokenizer thread was lost.'),
    );
  });
});

describe('a text that takes too long', () => {
  it('is rejected at its deadline; the texts behind it get a new thread', async () => {
    const reasons: string[] = [];
    const slow = await faulty(`if (input.startsWith('slow')) for (;;); ${COUNTS}`, {
      limits: { jobMs: 500, unitMs: 0.01 },
      onReplaced: (reason) => reasons.push(reason),
    });
    const say = (word: string): Promise<number[]> => slow.encode(word.padEnd(3_000), plain);
    const [first, second] = await Promise.allSettled([say('slow'), say('b')]);
    expect(first.status === 'rejected' && first.reason).toMatchObject({ name: 'EncodeError', kind: 'too_slow' });
    expect(second).toEqual({ status: 'fulfilled', value: [1] });
    expect(reasons).toEqual(['tokenizer and template need more than 530 ms for the text']);
    await slow.close();
  });

  it('has a deadline from the moment at which the thread begins with it', async () => {
    const slow = await faulty(`setTimeout(() => { ${COUNTS} }, 200);`, { limits: { jobMs: 2_000, unitMs: 0 } });
    const texts = Array.from({ length: 15 }, (_, n) => slow.encode(String(n).padEnd(3_000), plain));
    expect((await Promise.all(texts)).flat()).toEqual(texts.map((_, n) => n + 1));
    await slow.close();
  });

  it('does not count the time in which the event loop is busy', async () => {
    const quick = await faulty(COUNTS, { limits: { jobMs: 300, unitMs: 0 } });
    expect(await quick.encode(long, plain)).toEqual([1]);
    const pending = quick.encode(long, plain);
    const until = performance.now() + 600;
    while (performance.now() < until);
    expect(await pending).toEqual([2]);
    await quick.close();
  });

  it('also when the thread does not become ready', async () => {
    const file = join(await mkdtemp(join(tmpdir(), 'thread-')), 'thread.mjs');
    await writeFile(file, 'for (;;);');
    const hung = await Tokenizer.open(haikuFiles, {
      threadEntry: pathToFileURL(file),
      threadLimits: { ...THREAD_LIMITS, startMs: 100 },
    });
    await expect(hung.encode(long, plain)).rejects.toThrow('takes too long to open');
    await hung.close();
  });
});

it('a text that takes too much memory is rejected, and the next one gets a new thread', async () => {
  const greedy = await faulty(
    `if (input.startsWith('greedy')) for (const all = [];;) all.push(Array.from({ length: 1000 }, String)); ${COUNTS}`,
    { limits: { heapMb: 32 } },
  );
  const say = (word: string): Promise<number[]> => greedy.encode(word.padEnd(3_000), plain);
  await expect(say('greedy')).rejects.toMatchObject({ name: 'EncodeError', kind: 'too_much_memory' });
  expect(await say('b')).toEqual([1]);
  await greedy.close();
});

describe('the queue', () => {
  /** Numbers of the texts, in the order in which the thread gets them. All wait while it has the first. */
  async function orderOf(lengths: readonly number[]): Promise<number[]> {
    const counting = await faulty(COUNTS);
    const places = await Promise.all(lengths.map((units) => counting.encode('x'.repeat(units), plain)));
    await counting.close();
    return lengths.map((_, at) => at).sort((a, b) => (places[a]?.[0] ?? 0) - (places[b]?.[0] ?? 0));
  }

  it('gives the thread short texts first, and equal ones in their order', async () => {
    expect(await orderOf([30_000, 20_000, 3_000, 20_000, 2_500])).toEqual([0, 4, 2, 1, 3]);
  });

  it('lets a long text wait for a limited number of shorter ones', async () => {
    const shorter = Array.from({ length: 2 * MAX_OVERTAKEN }, () => 3_000);
    const order = await orderOf([3_000, 30_000, ...shorter]);
    expect(order.indexOf(1)).toBe(1 + MAX_OVERTAKEN);
  });
});

describe('closing', () => {
  it('rejects pending texts and refuses later long texts', async () => {
    const pending = tokenizer.encode(long.repeat(50), plain);
    const refused = expect(pending).rejects.toThrow('The tokenizer is closed.');
    await tokenizer.close();
    await refused;
    await expect(tokenizer.encode(long, plain)).rejects.toThrow('The tokenizer is closed.');
    await tokenizer.close();
  });

  it('is not necessary for the process to end', () => {
    const built = new URL('../tokenizer/tokenizer.js', builtThread).href;
    const source = `
      const { Tokenizer } = await import(${JSON.stringify(built)});
      const tokenizer = await Tokenizer.open(${JSON.stringify(haikuFiles)});
      const waits = setTimeout(() => {}, 60_000);
      const ids = await tokenizer.encode('the sea '.repeat(1000), { addSpecialTokens: false });
      clearTimeout(waits);
      process.stdout.write(String(tokenizer.decode(ids).length));`;
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', source], {
      timeout: 100_000,
    });
    expect([status, String(stdout), String(stderr)]).toEqual([0, '8000', '']);
  });
});
