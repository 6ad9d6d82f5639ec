/** The memory of the cache follows its use: a long context costs no slots, and a budget limits it. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { enginePid } from '../../support/cli.ts';
import { lastOf } from '../../support/listener.ts';
import { killAll } from '../../support/processes.ts';
import { makeWideModel, TOKEN_BYTES } from '../../support/wide-model.ts';
import { startWorker, type TestWorker, textOf } from '../../support/worker.ts';

const CONTEXT = 131_072;
const SLOTS = 16;
const MIB = 2 ** 20;

let folder: string;
let model: string[];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cache-memory-'));
  await makeWideModel(join(folder, 'wide'), CONTEXT);
  model = ['--model', join(folder, 'wide'), '--speculation', 'off'];
});
afterEach(killAll);
afterAll(() => rmSync(folder, { recursive: true }));

/** Bytes of a line of /proc/<pid>/status. */
const statusOf = (pid: number, name: string): number =>
  Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;

const job = (index: number) => ({
  job_id: `stream-${index}`,
  prompt: `The sea of number ${index}`,
  max_tokens: 100,
  min_tokens: 100,
  temperature: 0,
});

/** The texts of sixteen jobs that run together, each of 100 tokens. */
const textsOf = (worker: TestWorker): Promise<string[]> =>
  Promise.all(
    Array.from({ length: SLOTS }, async (_, index) => {
      const events = await worker.execute(job(index));
      expect(lastOf(events)).toMatchObject({ type: 'end', tokens_out: 100 });
      return textOf(events);
    }),
  );

describe.runIf(process.platform === 'linux')('a model with a context of 131 072 tokens', () => {
  test('has sixteen slots, serves sixteen streams, and takes little memory', async () => {
    const [wide, plain] = await Promise.all([
      startWorker({ args: model }),
      startWorker({ args: ['--speculation', 'off', '--slots', '16'] }),
    ]);
    expect(await (await wide.get('/health')).json()).toMatchObject({
      context_length: CONTEXT,
      slots: { total: SLOTS },
    });
    const [texts, expected] = await Promise.all([textsOf(wide), textsOf(plain)]);
    expect(texts).toEqual(expected);
    const [large, small] = [wide, plain].map(enginePid) as [number, number];
    // The address space of all slots, and hardly more memory than with 512 tokens for each.
    expect(statusOf(large, 'VmSize')).toBeGreaterThan(SLOTS * CONTEXT * TOKEN_BYTES);
    expect(statusOf(large, 'VmRSS') - statusOf(small, 'VmRSS')).toBeLessThan(64 * MIB);
    expect(wide.lines.map(({ event }) => event)).not.toContain('cache.limited');
    expect(await Promise.all([wide.stop(), plain.stop()])).toEqual([0, 0]);
  });

  test('has the tokens that --cache-memory holds, and says so at the start and in a refusal', async () => {
    const worker = await startWorker({ args: [...model, '--cache-memory', '1'] });
    expect(await worker.line('cache.limited')).toMatchObject({
      level: 'WARN',
      limited_by: 'memory',
      context_length: 512,
      requested_context: CONTEXT,
      cache_bytes: MIB,
    });
    expect(await worker.line('cache.reserved')).toMatchObject({ slots: SLOTS, context_length: 512, cache_bytes: MIB });
    const response = await worker.post('/execute', { job_id: 'long', prompt: 'a brook '.repeat(800) });
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({
      error: {
        code: 'PROMPT_TOO_LONG',
        message: expect.stringMatching(
          /has (at least )?\d+ tokens; .* 512: the cache holds no more, raise --cache-memory\.$/,
        ),
        details: { tokens_in: expect.any(Number), context_length: 512 },
      },
    });
    const events = await worker.execute({ job_id: 'short', prompt: 'The sea', max_tokens: 20, min_tokens: 20 });
    expect(lastOf(events)).toMatchObject({ type: 'end', tokens_out: 20 });
    expect(await worker.stop()).toBe(0);
  });

  test('has shorter rows, and not fewer slots, where the address space is limited', async () => {
    const launcher = ['sh', '-c', `ulimit -v ${5 * MIB} && exec "$@"`, 'sh'];
    const worker = await startWorker({ args: model, launcher });
    const limited = await worker.line('cache.limited');
    expect(limited).toMatchObject({ limited_by: 'address_space', cache_rows: SLOTS, requested_rows: SLOTS + 48 });
    expect(Number(limited['context_length'])).toBeGreaterThanOrEqual(8192);
    expect(Number(limited['context_length'])).toBeLessThan(CONTEXT);
    expect(SLOTS * Number(limited['context_length']) * TOKEN_BYTES).toBeLessThanOrEqual(Number(limited['cache_bytes']));
    expect(await textsOf(worker)).toHaveLength(SLOTS);
    expect(await worker.stop()).toBe(0);
  });
});
