/** The inbox delivers one report per event-loop turn, so that other work runs in between. */
import { expect, test } from 'vitest';
import { RemoteSequence, SequenceInbox } from '../../src/bridge/sequence-inbox.ts';
import type { FromEngine } from '../../src/protocol/messages.ts';
import { request } from '../engine/harness.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** An inbox with one sequence whose prompt is empty, so that `tokens` counts the delivered ones. */
function open(): { inbox: SequenceInbox; sequence: RemoteSequence } {
  const inbox = new SequenceInbox();
  const sequence = new RemoteSequence(request({ prompt: [] }));
  inbox.add(sequence);
  return { inbox, sequence };
}

/** A report of one token. */
const reportOf = ({ request: { id } }: RemoteSequence, token: number): Extract<FromEngine, { kind: 'report' }> => ({
  kind: 'report',
  batch: 1,
  sequences: [{ id, notes: [], tokens: [{ id: token }] }],
});

async function read(sequence: RemoteSequence, count: number): Promise<number[]> {
  const ids: number[] = [];
  while (ids.length < count) ids.push(...(await sequence.next()).report.tokens.map(({ id }) => id));
  return ids;
}

test('delivers reports that arrive together in their order, one per turn', async () => {
  const { inbox, sequence } = open();
  for (const token of [1, 2, 3]) inbox.put(reportOf(sequence, token));
  expect(sequence.tokens).toBe(0);
  const seen: number[] = [];
  for (let count = 0; count < 3; count += 1) {
    await turn();
    seen.push(sequence.tokens);
  }
  expect(seen).toEqual([1, 2, 3]);
  expect(await read(sequence, 3)).toEqual([1, 2, 3]);
});

test('delivers a report that arrives during a delivery in the next turn', async () => {
  const { inbox, sequence } = open();
  const reading = sequence.next().then(() => inbox.put(reportOf(sequence, 2)));
  inbox.put(reportOf(sequence, 1));
  await turn();
  await reading;
  expect(sequence.tokens).toBe(1);
  await turn();
  expect(sequence.tokens).toBe(2);
});

test('delivers all reports at a flush, in order, and none of them twice', async () => {
  const { inbox, sequence } = open();
  for (const token of [1, 2, 3]) inbox.put(reportOf(sequence, token));
  await turn();
  inbox.flush();
  expect(sequence.tokens).toBe(3);
  await turn();
  inbox.put(reportOf(sequence, 4));
  await turn();
  expect(await read(sequence, 4)).toEqual([1, 2, 3, 4]);
  expect(sequence.tokens).toBe(4);
});

test('delivers a report to each of its sequences, and ignores unknown ones', async () => {
  const { inbox, sequence } = open();
  const other = new RemoteSequence(request({ prompt: [] }));
  inbox.add(other);
  const [one, two] = [reportOf(sequence, 1), reportOf(other, 2)];
  const unknown = reportOf(new RemoteSequence(request()), 3);
  inbox.put({ ...one, sequences: [...one.sequences, ...two.sequences, ...unknown.sequences] });
  await turn();
  expect([await read(sequence, 1), await read(other, 1)]).toEqual([[1], [2]]);
});

test('gives all sequences of a step the same load, and none in a report before a run', async () => {
  const { inbox, sequence } = open();
  const other = new RemoteSequence(request({ prompt: [] }));
  inbox.add(other);
  const [one, two] = [reportOf(sequence, 1), reportOf(other, 2)];
  const prefill = { sequences: 1, tokens: 64, ms: 3 };
  inbox.put({ ...one, batch: 3, stepMs: 5, prefill, sequences: [...one.sequences, ...two.sequences] });
  inbox.put(reportOf(sequence, 3));
  await turn();
  await turn();
  const [first, second] = [await sequence.next(), await other.next()];
  expect(first.load).toEqual({ batch: 3, stepMs: 5, prefill });
  expect(second.load).toBe(first.load);
  expect((await sequence.next()).load).toBeUndefined();
});

test('removes a sequence without a caller when its end is reported', async () => {
  const { inbox, sequence } = open();
  const timings = { queueMs: 0, prefillMs: 0, decodeMs: 0 };
  const finish = { reason: 'cancelled', cachedTokens: 0, drafted: 0, accepted: 0, timings } as const;
  sequence.leave();
  inbox.put(reportOf(sequence, 1));
  await turn();
  expect([...inbox.sequences]).toEqual([sequence]);
  inbox.put({ kind: 'report', batch: 0, sequences: [{ id: sequence.request.id, notes: [], tokens: [], finish }] });
  await turn();
  expect([...inbox.sequences]).toEqual([]);
});

test('passes the scores of a prompt on, and none of them twice after the loss of an engine', async () => {
  const { inbox, sequence } = open();
  const { id } = sequence.request;
  const promptScores = { from: 1, scores: [{ id: 7, logprob: -0.5, top: [{ id: 9, logprob: -0.25 }] }] };
  const reports: Extract<FromEngine, { kind: 'report' }> = {
    kind: 'report',
    batch: 1,
    sequences: [{ id, notes: [], tokens: [], promptScores }],
  };
  inbox.put(reports);
  expect((await sequence.next()).report.promptScores).toEqual(promptScores);
  sequence.interrupt('signal SIGKILL');
  expect(await sequence.next()).toMatchObject({ interrupted: 'signal SIGKILL' });
  sequence.submitted();
  inbox.put(reports);
  expect((await sequence.next()).report).not.toHaveProperty('promptScores');
  const scores = [...promptScores.scores, { id: 8, logprob: -1, top: [] }];
  inbox.put({ ...reports, sequences: [{ id, notes: [], tokens: [], promptScores: { from: 1, scores } }] });
  expect((await sequence.next()).report.promptScores).toEqual({ from: 2, scores: scores.slice(1) });
});
