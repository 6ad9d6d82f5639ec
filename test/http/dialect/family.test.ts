/** Families of routes that are loaded when they are first used. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { expect, test } from 'vitest';
import { lazyFamily } from '../../../src/http/dialect/family.ts';
import { openAIErrors } from '../../../src/http/openai/errors.ts';
import { capture } from '../../../src/narration/narrate.ts';

const request = {} as FastifyRequest;
const reply = {} as FastifyReply;

test('a family is loaded once, by its first request', async () => {
  let loads = 0;
  const family = lazyFamily(async () => ({ one: () => (loads += 1), two: () => loads }), openAIErrors);
  const [one, two] = [family('one'), family('two')];
  expect(loads).toBe(0);
  expect([await one.handle(request, reply), await two.handle(request, reply)]).toEqual([1, 1]);
});

test('a load that fails is tried again by the next request', async () => {
  let tries = 0;
  const load = async () => {
    tries += 1;
    if (tries === 1) throw Object.assign(new Error('too many open files'), { code: 'EMFILE' });
    return { one: () => 'answer' };
  };
  const { handle } = lazyFamily(load, openAIErrors)('one');
  await expect(handle(request, reply)).rejects.toMatchObject({ code: 'EMFILE' });
  expect(await handle(request, reply)).toBe('answer');
});

test('files that an update has replaced are an error of this worker, which says the way out', async () => {
  const load = () =>
    Promise.reject(Object.assign(new Error("Cannot find module './x.cjs'"), { code: 'MODULE_NOT_FOUND' }));
  const { handle } = lazyFamily<'one'>(load, openAIErrors)('one');
  const { narrations } = await capture(async () => {
    await expect(handle(request, reply)).rejects.toMatchObject({
      code: 'WORKER_UNHEALTHY',
      retry: 'elsewhere',
      message: expect.stringContaining('Restart the worker'),
    });
  });
  expect(narrations.map(({ event }) => event)).toEqual(['worker.fault']);
});
