/**
 * Random requests of every kind, and their outputs on several engines: sequences join and leave the steps at
 * random, the same way for each seed.
 */
import { expect } from 'vitest';
import type { SequenceRequest } from '../../../src/protocol/messages.ts';
import type { Sampling } from '../../../src/protocol/sampling.ts';
import { literal, person } from '../grammars.ts';
import { type Bench, request } from '../harness.ts';
import type { Outcome, openEngine } from './engine-process.ts';

type EngineProcess = Awaited<ReturnType<typeof openEngine>>;
type Ask = Partial<Omit<SequenceRequest, 'sampling' | 'id'>> & { readonly sampling?: Partial<Sampling> };

/** A request, and the moment at which it is submitted: when an earlier one has as many tokens. */
export interface Joining {
  readonly ask: Ask;
  readonly after?: { readonly index: number; readonly tokens: number };
}

interface Kind {
  /** Ids are below this number. */
  readonly vocabulary: number;
  /** Longest prompt and longest output. */
  readonly longest: number;
  /** Sequences that begin together. */
  readonly together: number;
  /** The model has a vocabulary of texts. */
  readonly grammars?: boolean;
}

/** Whole numbers below a limit (mulberry32). */
export function generator(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

/** The ways in which ids are drawn, in turn. */
function rulesOf(index: number, random: (limit: number) => number, kind: Kind): Ask {
  const sampling = (more: Partial<Sampling>): Ask => ({ sampling: { temperature: 0.8, seed: random(1e6), ...more } });
  const rules: (() => Ask)[] = [
    () => ({}),
    () => sampling({ topK: 1 + random(20) }),
    () => sampling({ topP: 0.5 + random(40) / 100 }),
    () => ({ logprobs: random(4) }),
    () => ({ sampling: { repetitionPenalty: 1.3, frequencyPenalty: 0.2, presencePenalty: 0.3 } }),
    () => ({ logitBias: [[random(kind.vocabulary), 6]] }),
    () => (kind.grammars ? { grammar: random(2) === 0 ? person : literal('{"frog":true}') } : { minTokens: 2 }),
    () => sampling({ topK: 40, topP: 0.9, minP: 0.05 }),
    () => sampling({ temperature: 1.2 }),
  ];
  return rules[index % rules.length]?.() ?? {};
}

/** Tokens of a prompt that is read in one chunk. */
const SHORT = 4;

/**
 * Different prompts and lengths. `together` sequences with short prompts and long outputs begin; each other one
 * joins at a token of an earlier one.
 */
export function joiningRequests(seed: number, count: number, kind: Kind): Joining[] {
  const random = generator(seed);
  return Array.from({ length: count }, (_, index) => {
    const begins = index < kind.together;
    const length = 2 + random(begins ? SHORT : kind.longest - 1);
    const prompt = Array.from({ length }, () => random(kind.vocabulary));
    const maxTokens = begins ? kind.longest : 2 + random(kind.longest - 1);
    const ask = { prompt, maxTokens, ...rulesOf(index, random, kind) };
    if (begins) return { ask };
    return { ask, after: { index: Math.max(0, index - 2 - random(6)), tokens: 1 + random(2) } };
  });
}

/** The outcomes on an engine process. */
export async function outcomesOn(engine: EngineProcess, joining: readonly Joining[]): Promise<Outcome[]> {
  const requests = joining.map(({ ask }) => request(ask));
  return Promise.all(
    joining.map(async ({ after }, index) => {
      if (after) await engine.untilTokens(requests[after.index]!.id, after.tokens);
      return engine.submit(requests[index]!);
    }),
  );
}

/** Compares ids, ends and log-probabilities with those of the CPU. */
export async function expectOutcomesOf(bench: Bench, engine: EngineProcess, joining: readonly Joining[]) {
  const [found, expected] = await Promise.all([
    outcomesOn(engine, joining),
    Promise.all(joining.map(({ ask }) => bench.run(ask))),
  ]);
  const idsOf = ({ tokens }: Pick<Outcome, 'tokens'>): number[] => tokens.map(({ id }) => id);
  expect(found.map(idsOf)).toEqual(expected.map(idsOf));
  expect(found.map(({ finish }) => finish.reason)).toEqual(expected.map(({ finish }) => finish.reason));
  for (const [index, { tokens }] of found.entries())
    for (const [at, { logprob }] of tokens.entries()) {
      const other = expected[index]?.tokens[at]?.logprob;
      expect(logprob === undefined).toBe(other === undefined);
      if (logprob !== undefined) expect(Math.abs(logprob - (other ?? Number.NaN))).toBeLessThan(2e-3);
    }
  return found;
}
