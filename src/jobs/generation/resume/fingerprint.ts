/**
 * The digest of everything that decides which ids an output has, and how its text is divided into pieces:
 * the weights, the prompt, the parameters of the draw, the stop strings, and the use of tools. `max_tokens`
 * is left out: it cuts an output. With a grammar it also leads the last ids to an end; ids drawn under
 * another `max_tokens` are still ids of the grammar.
 */
import { createHash } from 'node:crypto';
import type { Submission } from '../../../bridge/client.ts';
import { FINGERPRINT_CHARS } from '../../../contract/resume/fields.ts';
import type { LoadedModel } from '../../../lifecycle/load-model.ts';
import type { GenerationOrder } from '../../order.ts';

/** The parts of a loaded model that a resumed output uses. */
export type ModelIdentity = Pick<LoadedModel, 'weightsDigest'> & { readonly facts: { readonly idLimit: number } };

/**
 * The fields of an order that the sequence lacks. It has `minTokens` only after the limit of this worker, and
 * another worker can have another limit.
 */
type OrderFields = Pick<GenerationOrder, 'minTokens' | 'stop' | 'toolUse' | 'undivided'>;

/** Raise this number when the worker divides a text into other pieces: an index then has another meaning. */
const PIECES_VERSION = 1;

/** The digest of a sequence, in hex digits. A greedy output does not depend on the seed. */
export function fingerprintOf(sequence: Submission, order: OrderFields, { weightsDigest }: ModelIdentity): string {
  const { prompt, sampling, logitBias = [], endIds, grammar } = sequence;
  const { seed, ...others } = sampling;
  const biases = [...logitBias].sort(([one], [other]) => one - other);
  const draw = Object.entries(others).sort(([one], [other]) => (one < other ? -1 : 1));
  const drawn = [draw, others.temperature > 0 ? seed : null, biases, endIds, order.minTokens ?? 0, grammar?.key];
  const divided = [PIECES_VERSION, [...(order.stop ?? [])].sort(), order.toolUse ?? null, order.undivided === true];
  const facts = [weightsDigest, drawn, divided];
  const hash = createHash('sha256').update(JSON.stringify(facts)).update(Int32Array.from(prompt));
  return hash.digest('hex').slice(0, FINGERPRINT_CHARS);
}
