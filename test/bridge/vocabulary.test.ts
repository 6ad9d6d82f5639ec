/** The vocabulary reaches each engine process once, before its first sequence with a grammar. */
import { afterEach, expect, test, vi } from 'vitest';
import { forkEngine } from '../../src/bridge/child.ts';
import { EngineClient } from '../../src/bridge/client.ts';
import type { Step } from '../../src/bridge/sequence-inbox.ts';
import { VocabularyDelivery } from '../../src/bridge/vocabulary-delivery.ts';
import type { ToEngine } from '../../src/protocol/messages.ts';
import { haikuVocabulary, literal, PERSON, person, textOf } from '../engine/grammars.ts';
import { options, request } from '../engine/harness.ts';

// The built process: the path of the sources has none.
vi.mock('../../src/config/paths.ts', async (original) => ({
  ...(await original<typeof import('../../src/config/paths.ts')>()),
  ENGINE_ENTRY: new URL('../../dist/engine/process.cjs', import.meta.url).pathname,
}));

const clients: EngineClient[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
});

/** A client with a real engine process, whose loss the test awaits. */
async function open() {
  let noteLoss: () => void = () => undefined;
  const lost = new Promise<void>((resolve) => {
    noteLoss = resolve;
  });
  const client = new EngineClient({ environment: {}, stepMs: 120_000, onLost: () => noteLoss() }, forkEngine({}));
  clients.push(client);
  await client.start(options);
  return { client, lost };
}

/** Runs a sequence with a grammar. Returns its text and its end. */
async function run(client: EngineClient, grammar = person) {
  const { id: _, ...asked } = request({ grammar, maxTokens: 60 });
  const ids: number[] = [];
  let last: Step | undefined;
  for await (const step of client.submit(asked, new AbortController().signal)) {
    ids.push(...step.report.tokens.map((token) => token.id));
    last = step;
  }
  return { text: textOf(ids), finish: last?.report.finish };
}

test('a sequence with a grammar fails without a vocabulary, and the next one has its form', async () => {
  const { client } = await open();
  expect((await run(client)).finish).toMatchObject({
    reason: 'failed',
    message: expect.stringContaining('before the vocabulary'),
  });
  client.setVocabulary(haikuVocabulary);
  const { text, finish } = await run(client);
  expect(text).toMatch(PERSON);
  expect(finish).toMatchObject({ reason: 'eos' });
  expect((await run(client, literal('a frog'))).text).toBe('a frog');
});

test('the next engine process gets the vocabulary again, before the sequences that waited', async () => {
  const { client, lost } = await open();
  client.setVocabulary(haikuVocabulary);
  expect((await run(client)).text).toMatch(PERSON);
  process.kill(client.pid ?? 0, 'SIGKILL');
  await lost;
  const waiting = run(client);
  await client.start(options);
  expect((await waiting).text).toMatch(PERSON);
});

test('a process gets it once, and not without a grammar', () => {
  const delivery = new VocabularyDelivery();
  const engine = () => {
    const sent: ToEngine['kind'][] = [];
    return { sent, send: (message: ToEngine) => sent.push(message.kind) };
  };
  const [first, second] = [engine(), engine()];
  const withGrammar = request({ grammar: person });
  delivery.sendBefore(withGrammar, first);
  expect(first.sent).toEqual([]);
  delivery.data = haikuVocabulary;
  delivery.sendBefore(request(), first);
  expect(first.sent).toEqual([]);
  for (const each of [first, first, second]) delivery.sendBefore(withGrammar, each);
  expect(first.sent).toEqual(['vocabulary']);
  expect(second.sent).toEqual(['vocabulary']);
});
