/** A stream as its user reads it, and the comparison with the undisturbed one. */
import type { SseMessage } from '../../../src/client/client.ts';
import type { Went } from '../client.ts';
import type { Ledger } from '../ledger.ts';

export type Data = Readonly<Record<string, unknown>> & { readonly type: string };

export interface Reading {
  readonly events: readonly Data[];
  readonly tokens: readonly Data[];
  readonly text: string;
  readonly last: Data | undefined;
  /** Status of the answer and the end of its connection; `refused` if nothing listens. */
  readonly how: string;
}

const dataOf = ({ data }: SseMessage): Data => JSON.parse(data) as Data;

/** The stream of one request; an empty one if it was refused. */
export const readingOf = (went: Went | undefined): Reading =>
  readEvents((went?.messages ?? []).map(dataOf), went ? `${went.status} ${went.how} ${went.text}`.trim() : 'refused');

/** The events of one or more streams, in order. */
export function readEvents(events: readonly Data[], how: string): Reading {
  const tokens = events.filter(({ type }) => type === 'token');
  return { events, tokens, text: tokens.map(({ t }) => String(t)).join(''), last: events.at(-1), how };
}

const isTerminal = ({ type }: Data): boolean => type === 'end' || type === 'error';

/** Facts of an `end` that do not depend on the way to it. */
const FIGURES = ['tokens_in', 'tokens_out', 'stop_reason', 'stop_sequence_matched', 'seed'];
const figuresOf = (end: Data | undefined): string => JSON.stringify(FIGURES.map((name) => end?.[name]));

/**
 * Checks an output that must reach its end with the text of a run alone, although its engine or its worker
 * was lost. `again` names the run that repeats it.
 */
export function judgeWhole(reading: Reading, alone: Reading, again: string, ledger: Ledger): void {
  const { events, tokens, text, last, how } = reading;
  ledger.ended(last?.type === 'end' ? 'end' : String(last?.['code'] ?? how));
  const whole = last?.type === 'end' && !/broken|stuck/.test(how);
  ledger.expect('survives', whole, () => `${how}, last ${JSON.stringify(last)}; ${again}`);
  const terminals = events.filter(isTerminal);
  const started = events.filter(({ type }) => type === 'started');
  const one = terminals.length === 1 && last === terminals[0] && started.length === 1 && started[0] === events[0];
  ledger.expect('terminal', one, () => `${started.length} started, ${JSON.stringify(terminals)}; ${again}`);
  const indices = tokens.map(({ i }) => i);
  ledger.expect(
    'indices',
    indices.every((i, index) => i === index),
    () => `${indices}; ${again}`,
  );
  const holds = whole ? text === alone.text : alone.text.startsWith(text);
  ledger.expect('text', holds, () => `${difference(text, alone.text)}; ${again}`);
  if (!whole) return;
  const [figures, expected] = [figuresOf(last), figuresOf(alone.last)];
  ledger.expect('figures', figures === expected, () => `${figures} instead of ${expected}; ${again}`);
}

/** The place where two texts part, with some of both. */
function difference(text: string, expected: string): string {
  let at = 0;
  while (at < text.length && text[at] === expected[at]) at += 1;
  const part = (of: string): string => JSON.stringify(of.slice(Math.max(0, at - 20), at + 60));
  return `at character ${at} of ${expected.length}: ${part(text)} instead of ${part(expected)}`;
}
