/**
 * The digest of everything that decides which ids an output has: the weights, the prompt and the parameters
 * of the draw. The limits of the output (`max_tokens`, stop strings) are left out: they cut an output and
 * change none of its ids.
 */
import { createHash } from 'node:crypto';
import type { Submission } from '../../../bridge/client.ts';
import { FINGERPRINT_CHARS } from '../../../contract/resume/fields.ts';
import type { LoadedModel } from '../../../lifecycle/load-model.ts';

/** The parts of a loaded model that a resumed output uses. */
export type ModelIdentity = Pick<LoadedModel, 'weightsDigest'> & { readonly facts: { readonly idLimit: number } };

/** The digest of a sequence, in hex digits. A greedy output does not depend on the seed. */
export function fingerprintOf(sequence: Submission, { weightsDigest }: ModelIdentity): string {
  const { prompt, sampling, logitBias = [], endIds, minTokens, grammar } = sequence;
  const { seed, ...others } = sampling;
  const biases = [...logitBias].sort(([one], [other]) => one - other);
  const draw = Object.entries(others).sort(([one], [other]) => (one < other ? -1 : 1));
  const facts = [weightsDigest, draw, others.temperature > 0 ? seed : null, biases, endIds, minTokens, grammar?.key];
  const hash = createHash('sha256').update(JSON.stringify(facts)).update(Int32Array.from(prompt));
  return hash.digest('hex').slice(0, FINGERPRINT_CHARS);
}
