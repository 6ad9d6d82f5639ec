/**
 * Losses, pauses, cancels and suspects in random order: every sequence ends, and no id is lost or generated
 * twice. The engine is simulated: it handles the messages late, and generates the id n at position n.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RemoteSequence } from '../../src/bridge/sequence-inbox.ts';
import { Submissions } from '../../src/bridge/submissions.ts';
import type { SequenceReport, ToEngine } from '../../src/protocol/messages.ts';
import { request } from '../engine/harness.ts';

const MAX_TOKENS = 30;
const LOSS = { reason: 'signal SIGSEGV', signal: 'SIGSEGV', stderrTail: '' } as const;
const NUMBERS = { cachedTokens: 0, drafted: 0, accepted: 0, timings: { queueMs: 0, prefillMs: 0, decodeMs: 0 } };
const STARTED = { note: 'started', slot: 0, others: 0, queueMs: 0, cachedTokens: 0 } as const;

interface Asked {
  readonly sequence: RemoteSequence;
  readonly backpressure: { paused: boolean; onChange: () => void };
  /** The sequence ends the engine at this id. */
  readonly crashesAt: number;
  left: boolean;
}

class Bench {
  readonly submissions = new Submissions('resume');
  readonly asked: Asked[] = [];
  readonly #crashes = new Map<number, number>();
  #messages: ToEngine[] = [];
  #running = new Map<number, { next: number; paused: boolean; isNew: boolean }>();

  constructor() {
    this.#open();
  }

  add(crashesAt: number): void {
    const backpressure = { paused: false, onChange: () => undefined };
    const sequence = new RemoteSequence(request({ maxTokens: MAX_TOKENS }), backpressure);
    this.#crashes.set(sequence.request.id, crashesAt);
    this.asked.push({ sequence, backpressure, crashesAt, left: false });
    this.submissions.add(sequence);
  }

  act(kind: number, index: number): void {
    const one = this.asked[index % Math.max(1, this.asked.length)];
    if (kind === 0) this.add(index % 4 === 0 ? index % MAX_TOKENS : MAX_TOKENS);
    else if (kind === 1) this.lose();
    else if (!one || one.sequence.finished || one.left) return;
    else if (kind === 2) {
      one.left = true;
      this.submissions.cancel(one.sequence)?.unref();
    } else if (kind === 3) {
      one.left = true;
      this.submissions.leave(one.sequence);
    } else if (kind <= 5) {
      one.backpressure.paused = !one.backpressure.paused;
      this.submissions.pause(one.sequence, one.backpressure.paused);
    }
  }

  lose(): void {
    this.submissions.lost(LOSS);
    this.#open();
  }

  /** The engine handles its messages, and makes a step. */
  step(): void {
    const reports: SequenceReport[] = [];
    for (const message of this.#messages.splice(0)) reports.push(...this.#handle(message));
    const active = [...this.#running].filter(([, { paused }]) => !paused);
    for (const [id, own] of active) {
      if (own.isNew) reports.push({ id, notes: [STARTED], tokens: [] });
      own.isNew = false;
    }
    this.submissions.put({ kind: 'report', batch: 0, sequences: reports });
    if (active.some(([id, { next }]) => this.#crashes.get(id) === next)) this.lose();
    else
      this.submissions.put({ kind: 'report', batch: active.length, sequences: active.map(([id]) => this.#draw(id)) });
  }

  #draw(id: number): SequenceReport {
    const own = this.#running.get(id);
    const tokens = [{ id: own ? own.next++ : -1 }];
    if (own?.next !== MAX_TOKENS) return { id, notes: [], tokens };
    this.#running.delete(id);
    return { id, notes: [], tokens, finish: { ...NUMBERS, reason: 'max_tokens' } };
  }

  #open(): void {
    this.#messages = [];
    this.#running = new Map();
    this.submissions.opened({ send: (message) => this.#messages.push(message) });
  }

  #handle(message: ToEngine): SequenceReport[] {
    if (message.kind === 'submit') {
      const { id, continued = [] } = message.request;
      expect(this.#running.has(id)).toBe(false);
      expect(continued).toEqual(continued.map((_, index) => index));
      this.#running.set(id, { next: continued.length, paused: false, isNew: true });
    } else if (message.kind === 'pause' || message.kind === 'resume') {
      const own = this.#running.get(message.id);
      if (own) own.paused = message.kind === 'pause';
    } else if (message.kind === 'cancel' && this.#running.delete(message.id))
      return [{ id: message.id, notes: [], tokens: [], finish: { ...NUMBERS, reason: 'cancelled' } }];
    return [];
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('every sequence ends, and goes on with its next id, whatever happens to the engine', async () => {
  const action = fc.record({
    kind: fc.integer({ min: 0, max: 9 }),
    index: fc.nat(1000),
    steps: fc.integer({ min: 0, max: 3 }),
    turns: fc.integer({ min: 0, max: 4 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 1, maxLength: 60 }), async (actions) => {
      const bench = new Bench();
      for (let index = 1; index < 4; index += 1) bench.add(MAX_TOKENS);
      for (const { kind, index, steps, turns } of actions) {
        bench.act(kind, index);
        for (let step = 0; step < steps; step += 1) bench.step();
        for (let count = 0; count < turns; count += 1) await turn();
      }
      for (const one of bench.asked) {
        if (!one.backpressure.paused) continue;
        one.backpressure.paused = false;
        bench.submissions.pause(one.sequence, false);
      }
      const isOver = ({ sequence, left }: Asked): boolean => sequence.finished || left;
      for (let step = 0; !bench.asked.every(isOver); step += 1) {
        expect(step).toBeLessThan(3000);
        bench.step();
        await turn();
        await turn();
      }
      // An engine that is killed during the test of a suspect costs this suspect its output.
      if (actions.some(({ kind }) => kind === 1)) return;
      for (const { sequence, left, crashesAt } of bench.asked)
        if (!left && crashesAt === MAX_TOKENS) expect(sequence.generated).toBe(MAX_TOKENS);
    }),
    { seed: 1, numRuns: 300 },
  );
});
