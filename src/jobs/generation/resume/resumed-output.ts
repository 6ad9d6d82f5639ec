/**
 * An output that another worker has begun: checks its ids, and brings the text of the output to its state
 * after them. Emits nothing.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Violation, WorkerError } from '../../../contract/errors.ts';
import type { GenerationOrder } from '../../order.ts';
import type { Prepared, PreparedPrompt } from '../../prompt.ts';
import { type Choice, choicesOf, type PartPiece } from '../choice.ts';
import { fingerprintOf, type ModelIdentity } from './fingerprint.ts';

/** Longest turn of the event loop for the text of the earlier ids, in milliseconds. */
const TURN_MS = 8;

/** An order that is ready for its generation. */
export interface Opened extends Prepared {
  /** True: the `token` events tell the ids. */
  readonly tellsIds?: boolean;
  /** Digest of the model, the prompt and the parameters. Absent: nothing can be resumed. */
  readonly fingerprint?: () => string;
  readonly resumed?: ResumedOutput;
}

export interface ResumedOutput {
  /** The output after its earlier ids. */
  readonly choice: Choice;
  /** Pieces of the last id that the caller lacks. */
  readonly missing: readonly PartPiece[];
  /** Index of the first `token` event. */
  readonly index: number;
}

/**
 * Resumes the output of an order with `resume`. The output of any other order begins with its first token.
 * @throws WorkerError `INVALID_REQUEST` for ids that are not the beginning of an output of the request, or
 *   the reason of `signal`
 */
export async function openOutput(
  prepared: Prepared,
  order: GenerationOrder,
  model: ModelIdentity,
  signal: AbortSignal,
): Promise<Opened> {
  const [prompt] = prepared.prompts;
  let known: string | undefined;
  const fingerprint = (): string => {
    known ??= prompt ? fingerprintOf(prompt.sequence, order, model) : '';
    return known;
  };
  const isSingle = prepared.prompts.length * prepared.choices === 1 && !prepared.scoresOnly;
  const opened = { ...prepared, tellsIds: order.ids === true, ...(isSingle && { fingerprint }) };
  if (!order.resume || !prompt) return opened;
  checkIds(order, prompt, model);
  if (order.resume.fingerprint !== fingerprint()) throw otherFingerprint(order.resume.fingerprint, fingerprint());
  return { ...opened, resumed: await replay(prepared, order.resume, signal) };
}

/** @throws WorkerError `INVALID_REQUEST` with all violations of the ids and of the seed */
function checkIds(order: GenerationOrder, { sequence }: PreparedPrompt, { facts }: ModelIdentity): void {
  const { ids = [] } = order.resume ?? {};
  const { maxTokens, endIds, sampling } = sequence;
  const violations: Violation[] = [];
  if (order.sampling.seed === undefined && sampling.temperature > 0)
    violations.push({
      field: 'seed',
      constraint: 'required',
      message: `seed is required with resume while temperature is above 0, but is ${sampling.temperature}; send the seed that the event started told`,
    });
  const wrong = (at: number, constraint: string, message: string): void => {
    violations.push({ field: `resume.token_ids[${at}]`, constraint, message, value: ids[at] ?? 0 });
  };
  const foreign = ids.findIndex((id) => id >= facts.idLimit);
  if (foreign >= 0)
    wrong(
      foreign,
      'vocabulary',
      `resume.token_ids[${foreign}] must be an id of the model, from 0 to ${facts.idLimit - 1}, but is ${ids[foreign]}; send the job to a worker with the model of the ids, or without resume`,
    );
  const end = ids.findIndex((id) => endIds.includes(id));
  if (end >= 0)
    wrong(
      end,
      'end',
      `resume.token_ids[${end}] must not be an end-of-sequence id, but is ${ids[end]}; the output ends before it, and the events tell no such id`,
    );
  if (ids.length > maxTokens)
    violations.push({
      field: 'resume.token_ids',
      constraint: 'maximum',
      message: `resume.token_ids must have at most ${maxTokens} ids, the most tokens of this output, but has ${ids.length}; raise max_tokens, or use a worker with a longer context`,
      value: ids.length,
    });
  if (violations.length > 0) throw new WorkerError('INVALID_REQUEST', undefined, { violations });
}

/** Pushes the ids of an earlier sequence into the text of an output. */
async function replay(
  prepared: Prepared,
  { ids, index }: NonNullable<GenerationOrder['resume']>,
  signal: AbortSignal,
): Promise<ResumedOutput> {
  const [choice] = choicesOf(prepared);
  if (!choice) throw new Error('An order without a prompt has no output to resume.');
  const missing: PartPiece[] = [];
  let pieces = 0;
  const take = (all: readonly PartPiece[]): void => {
    for (const { ids: _, ...piece } of all) {
      if (pieces >= index) missing.push(piece);
      pieces += 1;
    }
  };
  let began = performance.now();
  for (const [at, id] of ids.entries()) {
    if (choice.full) throw beyondEnd(at, ids.length, choice.matched);
    take(choice.push({ id }));
    if (performance.now() - began < TURN_MS) continue;
    await nextTurn();
    signal.throwIfAborted();
    began = performance.now();
  }
  choice.resume();
  choice.stopped = choice.full;
  // The last pieces of an output come after its last id: a caller that has one of them has a complete output.
  if (index > pieces) take(choice.flush());
  if (index > pieces) throw indexTooHigh(index, pieces);
  return { choice, missing, index };
}

function beyondEnd(at: number, count: number, matched: string | undefined): WorkerError {
  const reason = matched === undefined ? 'after its only tool call' : 'at a stop string';
  return invalid({
    field: 'resume.token_ids',
    constraint: 'end',
    message: `resume.token_ids must not have ids after the end of the output: it ends ${reason} after ${at} ids, but the list has ${count}; send the stop strings and tools of the first request`,
    value: count,
  });
}

const indexTooHigh = (index: number, pieces: number): WorkerError =>
  invalid({
    field: 'resume.index',
    constraint: 'maximum',
    message: `resume.index must be at most ${pieces}, the number of token events of these ids, but is ${index}; send all ids of the earlier stream, and one more than the last i`,
    value: index,
  });

const otherFingerprint = (given: string, own: string): WorkerError =>
  invalid({
    field: 'resume.fingerprint',
    constraint: 'fingerprint',
    message: `resume.fingerprint must be ${own} for this model and this request, but is ${given}; send the request of the first stream to a worker with the same weights, or send it without resume`,
    value: given,
  });

const invalid = (violation: Violation): WorkerError =>
  new WorkerError('INVALID_REQUEST', undefined, { violations: [violation] });
