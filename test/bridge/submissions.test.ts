/**
 * Which sequences the engine has after a loss. The engine is a list of messages: the tests force its losses
 * at any moment.
 */
import { expect, test } from 'vitest';
import type { EngineLostError, Loss } from '../../src/bridge/child.ts';
import { RemoteSequence } from '../../src/bridge/sequence-inbox.ts';
import { type OnEngineLoss, Submissions } from '../../src/bridge/submissions.ts';
import { PROVEN_IDS } from '../../src/bridge/suspects.ts';
import type { Finish, SequenceReport, ToEngine } from '../../src/protocol/messages.ts';
import { request } from '../engine/harness.ts';

const LOSS: Loss = { reason: 'signal SIGSEGV', signal: 'SIGSEGV', stderrTail: '' };
const STARTED = { note: 'started', slot: 0, cachedTokens: 0, others: 0, queueMs: 0 } as const;
const TIMINGS = { queueMs: 0, prefillMs: 0, decodeMs: 0 };
const finish = (reason: 'max_tokens' | 'cancelled'): Finish => ({
  reason,
  cachedTokens: 0,
  drafted: 0,
  accepted: 0,
  timings: TIMINGS,
});

/** Submissions, and the engine that they have. */
class Scene {
  readonly submissions: Submissions;
  /** Messages to the engine that runs now. */
  sent: ToEngine[] = [];
  #nextId = 100;

  constructor(mode: OnEngineLoss = 'resume') {
    this.submissions = new Submissions(mode);
    this.open();
  }

  open(): void {
    this.sent = [];
    this.submissions.opened({ send: (message) => this.sent.push(message) });
  }

  /** Two losses in a row in which these sequences ran. */
  async loseTwice(...sequences: RemoteSequence[]): Promise<void> {
    for (let loss = 0; loss < 2; loss += 1) {
      this.start(...sequences);
      await this.delivered();
      this.lose();
    }
  }

  /** The engine is lost, and the next one opens. */
  lose(): ReturnType<Submissions['lost']> {
    const counts = this.submissions.lost(LOSS);
    this.open();
    return counts;
  }

  add(parts: Parameters<typeof request>[0] = {}): RemoteSequence {
    const sequence = new RemoteSequence(request({ maxTokens: 100, ...parts }));
    this.submissions.add(sequence);
    return sequence;
  }

  /** A sequence whose subscriber can lag. */
  addPaused(): { sequence: RemoteSequence; pause: (paused: boolean) => void } {
    const backpressure = { paused: false, onChange: () => undefined };
    const sequence = new RemoteSequence(request({ maxTokens: 100 }), backpressure);
    this.submissions.add(sequence);
    const pause = (paused: boolean): void => {
      backpressure.paused = paused;
      this.submissions.pause(sequence, paused);
    };
    return { sequence, pause };
  }

  report(sequence: RemoteSequence, parts: Partial<SequenceReport>): void {
    const { id } = sequence.request;
    this.submissions.put({ kind: 'report', batch: 1, sequences: [{ id, notes: [], tokens: [], ...parts }] });
  }

  start(...sequences: RemoteSequence[]): void {
    for (const sequence of sequences) this.report(sequence, { notes: [STARTED] });
  }

  /** The engine generates ids of a sequence, and the report is delivered. */
  async generate(sequence: RemoteSequence, count: number): Promise<void> {
    const tokens = Array.from({ length: count }, () => ({ id: this.#nextId++ }));
    this.report(sequence, { tokens });
    await this.delivered();
  }

  async end(sequence: RemoteSequence, reason: 'max_tokens' | 'cancelled'): Promise<void> {
    this.report(sequence, { finish: finish(reason) });
    await this.delivered();
  }

  /** One report is delivered per turn. */
  async delivered(): Promise<void> {
    for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  }

  /** Sequences that were submitted to this engine, in order, with the ids of their output. */
  get submitted(): [id: number, continued: readonly number[] | undefined][] {
    return this.sent.flatMap((message) =>
      message.kind === 'submit' ? [[message.request.id, message.request.continued] as const] : [],
    ) as [number, readonly number[] | undefined][];
  }

  get submittedIds(): number[] {
    return this.submitted.map(([id]) => id);
  }

  get cancelled(): number[] {
    return this.sent.flatMap((message) => (message.kind === 'cancel' ? [message.id] : []));
  }
}

const idOf = ({ request: { id } }: RemoteSequence): number => id;

/** All steps of a sequence that it has now. */
async function stepsOf(sequence: RemoteSequence, count: number) {
  const steps = [];
  while (steps.length < count) steps.push(await sequence.next());
  return steps;
}

test('the next engine gets the interrupted sequences first, with their ids, then those that waited', async () => {
  const scene = new Scene();
  const [waiting, one, two] = [scene.add(), scene.add(), scene.add()];
  scene.start(one, two);
  await scene.generate(one, 2);
  scene.report(two, { tokens: [{ id: 7 }] }); // Not delivered yet when the engine is lost.
  expect(scene.lose()).toEqual({ interrupted: 2, failed: 0, waiting: 1, explained: 0 });
  expect(scene.submitted).toEqual([
    [idOf(one), [100, 101]],
    [idOf(two), [7]],
    [idOf(waiting), undefined],
  ]);
  const told = await stepsOf(two, 3);
  expect(told.map(({ report: { tokens }, interrupted }) => [tokens.length, interrupted])).toEqual([
    [0, undefined],
    [1, undefined],
    [0, LOSS.reason],
  ]);
  expect((await waiting.next()).lost).toBe(LOSS.reason);
});

test('with `fail`, a sequence with a slot fails, and there are no suspects', async () => {
  const scene = new Scene('fail');
  for (let loss = 0; loss < 3; loss += 1) {
    const [running, waiting] = [scene.add(), scene.add()];
    scene.start(running);
    await scene.delivered();
    expect(scene.lose()).toMatchObject({ interrupted: 0, failed: 1, explained: 0 });
    await stepsOf(running, 1);
    await expect(running.next()).rejects.toThrow(LOSS.reason);
    expect(scene.submittedIds).toContain(idOf(waiting));
  }
});

/** Two losses in which all sequences ran, and the engine after them. */
async function twiceLost(count: number) {
  const scene = new Scene();
  const all = Array.from({ length: count }, () => scene.add());
  await scene.loseTwice(...all);
  return { scene, all };
}

test('after the second loss in a row, suspects run one at a time, and the others are held', async () => {
  const { scene, all } = await twiceLost(3);
  const late = scene.add();
  const [one, two, three] = all as [RemoteSequence, RemoteSequence, RemoteSequence];
  expect(scene.submittedIds).toEqual([idOf(one)]);
  expect((await late.next()).held).toBe(true);
  scene.start(one);
  await scene.generate(one, PROVEN_IDS - 1);
  expect(scene.cancelled).toEqual([]);
  await scene.generate(one, 1);
  // Proven: it gives back its slot, and the next one follows when the engine has confirmed that.
  expect([scene.cancelled, scene.submittedIds]).toEqual([[idOf(one)], [idOf(one)]]);
  await scene.end(one, 'cancelled');
  expect(one.finished).toBe(false);
  expect(scene.submittedIds).toEqual([idOf(one), idOf(two)]);
  // A suspect that ends is proven too.
  scene.start(two);
  await scene.end(two, 'max_tokens');
  expect([two.finished, scene.submittedIds.at(-1)]).toEqual([true, idOf(three)]);
  scene.start(three);
  await scene.generate(three, PROVEN_IDS);
  // The last one stays in the engine. The others follow: those with output first.
  expect(scene.cancelled).toEqual([idOf(one)]);
  expect(scene.submittedIds.slice(3)).toEqual([idOf(one), idOf(late)]);
  expect(scene.submitted[3]?.[1]).toHaveLength(PROVEN_IDS);
});

test('the suspect that loses the engine alone fails, and the others go on', async () => {
  const { scene, all } = await twiceLost(3);
  const [culprit, two, three] = all as [RemoteSequence, RemoteSequence, RemoteSequence];
  scene.start(culprit);
  await scene.delivered();
  expect(scene.lose()).toEqual({ interrupted: 0, failed: 1, waiting: 2, explained: 3 });
  const error = await (async (): Promise<unknown> => {
    for (;;) await culprit.next();
  })().catch((reason: unknown) => reason);
  expect(error as EngineLostError).toMatchObject({ message: LOSS.reason, causedLosses: 3 });
  for (const other of [two, three]) {
    expect(scene.submittedIds.at(-1)).toBe(idOf(other));
    scene.start(other);
    await scene.generate(other, PROVEN_IDS);
    await scene.end(other, other === two ? 'cancelled' : 'max_tokens');
  }
  expect(scene.submittedIds.at(-1)).toBe(idOf(two));
});

test('a suspect that loses the engine before it is known to have a slot is the culprit too', async () => {
  const { scene } = await twiceLost(2);
  expect(scene.lose()).toMatchObject({ failed: 1, explained: 3 });
});

test('an engine that loses one suspect after the other is the cause itself', async () => {
  const { scene } = await twiceLost(3);
  expect([scene.lose(), scene.lose(), scene.lose()].map(({ explained }) => explained)).toEqual([3, 0, 0]);
});

test('a suspect whose last report comes with the loss is not blamed', async () => {
  const { scene, all } = await twiceLost(2);
  const [one, two] = all as [RemoteSequence, RemoteSequence];
  scene.start(one);
  scene.report(one, { finish: finish('max_tokens') });
  expect(scene.lose()).toEqual({ interrupted: 0, failed: 0, waiting: 1, explained: 0 });
  expect([one.finished, scene.submittedIds]).toEqual([true, [idOf(two)]]);
});

test('a cancelled suspect makes room for the next one, in the engine or before it', async () => {
  const { scene, all } = await twiceLost(3);
  const [one, two, three] = all as [RemoteSequence, RemoteSequence, RemoteSequence];
  expect(scene.submissions.cancel(two)).toBeUndefined();
  expect(two.finished).toBe(true);
  clearTimeout(scene.submissions.cancel(one));
  expect([scene.cancelled, scene.submittedIds]).toEqual([[idOf(one)], [idOf(one)]]);
  await scene.end(one, 'cancelled');
  expect([one.finished, scene.submittedIds]).toEqual([true, [idOf(one), idOf(three)]]);
});

test('a caller that leaves during the test of its sequence makes room when the engine confirms it', async () => {
  const { scene, all } = await twiceLost(2);
  const [one, two] = all as [RemoteSequence, RemoteSequence];
  scene.submissions.leave(one);
  expect(scene.submittedIds).toEqual([idOf(one)]);
  await scene.end(one, 'cancelled');
  expect(scene.submittedIds).toEqual([idOf(one), idOf(two)]);
  expect(scene.submissions.occupancy).toMatchObject({ busy: 0, waiting: 1, left: 0 });
});

test('a sequence that was cancelled or left before the loss is not tested', async () => {
  const scene = new Scene();
  const [left, cancelled, other] = [scene.add(), scene.add(), scene.add()];
  for (let loss = 0; loss < 2; loss += 1) {
    scene.start(left, cancelled, other);
    await scene.delivered();
    if (loss === 1) {
      scene.submissions.leave(left);
      clearTimeout(scene.submissions.cancel(cancelled));
    }
    scene.lose();
  }
  expect([scene.submittedIds, cancelled.finished]).toEqual([[idOf(other)], true]);
});

test('a suspect that is paused waits for its reader, and the others run meanwhile', async () => {
  const scene = new Scene();
  const { sequence: slow, pause } = scene.addPaused();
  const other = scene.add();
  await scene.loseTwice(slow, other);
  expect(scene.submittedIds).toEqual([idOf(slow)]);
  pause(true);
  expect(scene.cancelled).toEqual([idOf(slow)]);
  await scene.end(slow, 'cancelled');
  expect(scene.submittedIds).toEqual([idOf(slow), idOf(other)]);
  scene.start(other);
  await scene.generate(other, PROVEN_IDS);
  expect(scene.cancelled).toEqual([idOf(slow)]);
  pause(false);
  expect(scene.cancelled).toEqual([idOf(slow), idOf(other)]);
  await scene.end(other, 'cancelled');
  expect(scene.submittedIds.at(-1)).toBe(idOf(slow));
  scene.start(slow);
  await scene.generate(slow, PROVEN_IDS);
  expect(scene.submittedIds.at(-1)).toBe(idOf(other));
});

test.each(['is cancelled', 'is paused again'])(
  'a sequence that made room for a suspect goes on if the suspect %s',
  async (end) => {
    const scene = new Scene();
    const { sequence: slow, pause } = scene.addPaused();
    const other = scene.add();
    await scene.loseTwice(slow, other);
    pause(true);
    await scene.end(slow, 'cancelled');
    scene.start(other);
    await scene.generate(other, PROVEN_IDS);
    pause(false);
    expect(scene.cancelled).toEqual([idOf(slow), idOf(other)]);
    // Before the engine confirms that the other sequence has made room.
    if (end === 'is cancelled') scene.submissions.cancel(slow);
    else pause(true);
    await scene.end(other, 'cancelled');
    expect(scene.submittedIds).toEqual([idOf(slow), idOf(other), idOf(other)]);
  },
);

test('a paused or preempted sequence is no suspect, and is continued; a paused one is submitted paused', async () => {
  const scene = new Scene();
  const { sequence: paused, pause } = scene.addPaused();
  const preempted = scene.add();
  for (let loss = 0; loss < 3; loss += 1) {
    scene.start(paused, preempted);
    scene.report(preempted, { notes: [{ note: 'preempted', tokens: 3 }] });
    await scene.delivered();
    pause(true);
    expect(scene.submissions.occupancy).toMatchObject({ busy: 1, waiting: 1 });
    expect(scene.lose()).toEqual({ interrupted: 1, failed: 0, waiting: 1, explained: 0 });
    expect(scene.submittedIds).toEqual([idOf(paused), idOf(preempted)]);
    expect(scene.sent).toContainEqual({ kind: 'pause', id: idOf(paused) });
    pause(false);
  }
});

test('a cancel between two engines ends the sequence at once', async () => {
  const scene = new Scene();
  const running = scene.add();
  scene.start(running);
  scene.submissions.lost(LOSS);
  expect(scene.submissions.cancel(running)).toBeUndefined();
  const [, interrupted, last] = await stepsOf(running, 3);
  expect([interrupted?.interrupted, last?.report.finish?.reason]).toEqual([LOSS.reason, 'cancelled']);
  scene.open();
  expect(scene.sent).toEqual([]);
});
