/**
 * Long texts are encoded on a separate thread: event loop, order, cancellation, faults and the end of the
 * thread.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Tokenizer } from '../../../src/text/tokenizer/tokenizer.ts';
import { builtThread, haikuFiles } from './small-tokenizers.ts';

const plain = { addSpecialTokens: false } as const;
const long = 'A line about the sea and the moon. '.repeat(100);

let tokenizer: Tokenizer;
beforeEach(async () => {
  if (!existsSync(builtThread)) throw new Error('dist/ is not built. Run npm run build.');
  tokenizer = await Tokenizer.open(haikuFiles, { threadEntry: builtThread });
});
afterEach(() => tokenizer.close());

/** A thread with the given source, to force faults. */
async function faulty(source: string): Promise<Tokenizer> {
  const file = join(await mkdtemp(join(tmpdir(), 'thread-')), 'thread.mjs');
  await writeFile(file, `import { parentPort } from 'node:worker_threads';\n${source}`);
  return Tokenizer.open(haikuFiles, { threadEntry: pathToFileURL(file) });
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

describe('a lost thread', () => {
  it('rejects pending texts, and the next text starts a new thread', async () => {
    const weak = await faulty(`
      let asked = 0;
      parentPort.on('message', ({ text }) => {
        if (text.startsWith('die')) process.exit(3);
        if (text.startsWith('throw')) throw new Error('thread');
        parentPort.postMessage(text.startsWith('fail') ? { failure: 'no' } : { ids: [++asked] });
      });`);
    const say = (word: string): Promise<number[]> => weak.encode(word.padEnd(3_000), plain);
    expect([await say('a'), await say('b')]).toEqual([[1], [2]]);
    const pending = await Promise.allSettled([say('die'), say('c'), say('d')]);
    expect(pending.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(await say('e')).toEqual([1]);
    await expect(say('throw')).rejects.toThrow('The tokenizer thread was lost.');
    expect(await say('f')).toEqual([1]);
    await expect(say('fail')).rejects.toThrow('could not be encoded');
    expect(await say('g')).toEqual([2]);
    await weak.close();
  });

  it('that cannot start rejects too', async () => {
    const none = await Tokenizer.open(haikuFiles, { threadEntry: new URL('./gone.js', builtThread) });
    await expect(none.encode(long, plain)).rejects.toThrow('The tokenizer thread was lost.');
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
    const built = new URL('tokenizer.js', builtThread).href;
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
