/** Outputs that are cut and continued on another worker by their ids. */
import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import { all, type StreamEvent, type TestWorker } from './worker.ts';

export interface Resume {
  readonly token_ids: readonly number[];
  readonly index: number;
  readonly fingerprint: string;
}

/** An output as its stream told it. */
export interface ToldOutput {
  readonly started: Record<string, unknown>;
  readonly tokens: readonly Record<string, unknown>[];
  /** The ids of all events. */
  readonly ids: readonly number[];
  readonly end: Record<string, unknown>;
}

/** Runs a job to its end, with ids. */
export async function toldBy(worker: TestWorker, body: object): Promise<ToldOutput> {
  const events = await worker.execute({ job_id: randomUUID(), ids: true, ...body });
  expect(events.at(-1)?.data).toMatchObject({ type: 'end' });
  return outputOf(events);
}

export function outputOf(events: readonly StreamEvent[]): ToldOutput {
  const tokens = all(events, 'token');
  const [started = {}] = all(events, 'started');
  return { started, tokens, ids: tokens.flatMap(idsIn), end: events.at(-1)?.data ?? {} };
}

export const idsIn = ({ ids = [] }: Record<string, unknown>): number[] => ids as number[];

/** The data with which a client continues that has received the first events of an output. */
export function resumeAfter({ started, tokens }: ToldOutput, events: number): Resume {
  const seen = tokens.slice(0, events);
  return { token_ids: seen.flatMap(idsIn), index: events, fingerprint: String(started['fingerprint']) };
}

/** The data with which a client continues that knows the first `count` ids, and all events of them. */
export function resumeAfterIds({ started, tokens, ids }: ToldOutput, count: number): Resume {
  let known = 0;
  const index = tokens.findIndex((token) => {
    known += idsIn(token).length;
    return known > count;
  });
  const fingerprint = String(started['fingerprint']);
  return { token_ids: ids.slice(0, count), index: index < 0 ? tokens.length : index, fingerprint };
}

/** The facts of a token that do not depend on the worker: ids of calls are random. */
const factsOf = ({ t, i, part, call, ids }: Record<string, unknown>) => ({ t, i, part, call, ids });
const END = [
  'tokens_in',
  'tokens_out',
  'stop_reason',
  'stop_sequence_matched',
  'tool_calls',
  'reasoning_tokens',
  'seed',
];
const endOf = (end: Record<string, unknown>) => Object.fromEntries(END.map((name) => [name, end[name]]));

/** Resumes an output, and expects that both streams together are the undisturbed one. */
export async function expectContinued(
  worker: TestWorker,
  body: object,
  whole: ToldOutput,
  resume: Resume,
): Promise<ToldOutput> {
  const rest = await toldBy(worker, { ...body, resume });
  const { index, token_ids: ids } = resume;
  expect(rest.started).toMatchObject({ resumed_ids: ids.length, fingerprint: resume.fingerprint });
  const joined = [...whole.tokens.slice(0, index), ...rest.tokens];
  expect({ index, ids: ids.length, tokens: joined.map(textFactsOf) }).toEqual({
    index,
    ids: ids.length,
    tokens: whole.tokens.map(textFactsOf),
  });
  expect([...ids, ...rest.ids]).toEqual(whole.ids);
  expect({ index, end: endOf(rest.end) }).toEqual({ index, end: endOf(whole.end) });
  return rest;
}

const textFactsOf = (token: Record<string, unknown>) => ({ ...factsOf(token), ids: undefined });

/** Resumes an output after each of its events and after each of its ids. */
export async function expectContinuedEverywhere(worker: TestWorker, body: object, whole: ToldOutput): Promise<void> {
  expect(whole.tokens.length).toBeGreaterThan(3);
  const cuts = [
    ...whole.tokens.map((_, index) => resumeAfter(whole, index)),
    resumeAfter(whole, whole.tokens.length),
    ...whole.ids.map((_, index) => resumeAfterIds(whole, index + 1)),
  ];
  const distinct = new Map(cuts.map((cut) => [`${cut.index} ${cut.token_ids.length}`, cut]));
  const waiting = distinct.values();
  const next = async (): Promise<void> => {
    for (const cut of waiting) await expectContinued(worker, body, whole, cut);
  };
  await Promise.all(Array.from({ length: 4 }, next));
}
