/** Work without a job ends when its client leaves: real HTTP, and a tokenizer that never ends by itself. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { LoadedModel } from '../../../src/lifecycle/load-model.ts';
import { answerIn, getOf, type LoopServer, postOf, startLoopServer } from '../../loop/loop-server.ts';
import { fakeModel } from '../../support/fakes.ts';

let server: LoopServer;
let [begin, end] = [(): void => undefined, (_: unknown): void => undefined];

beforeAll(async () => {
  const encode = (_: string, { signal }: { signal: AbortSignal }): Promise<number[]> =>
    new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        end(signal.reason);
        reject(signal.reason);
      });
      begin();
    });
  const model = fakeModel({ slots: 1, context: 64 });
  server = await startLoopServer({ model: { ...model, tokenizer: { encode } } as unknown as LoadedModel });
});
afterAll(() => server.app.close());

test.each([
  ['/tokenize', '{"prompt":"The sea"}'],
  ['/tokenize', '{"prompt":"The wind"}'],
])('a client of %s that leaves ends the encoding of %s', async (path, body) => {
  const began = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const ended = new Promise<unknown>((resolve) => {
    end = resolve;
  });
  const socket = await server.open();
  socket.write(postOf(path, body));
  await began;
  socket.destroy();
  expect(await ended).toBeInstanceOf(Error);
  expect(answerIn(await server.send(getOf('/live'))).status).toBe(200);
});
