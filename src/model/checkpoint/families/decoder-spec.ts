/** Stand-in until the families of models are here: knows one `model_type`, and gives it no layers. */
import type { DecoderSpec, TensorPlace } from '../../../protocol/decoder-spec.ts';

/** The checkpoint is not supported. Each problem continues a sentence that begins with "config.json". */
export class UnsupportedCheckpoint extends Error {
  override readonly name = 'UnsupportedCheckpoint';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('; '));
    this.problems = problems;
  }
}

/**
 * The decoder that a configuration and the tensors of a checkpoint describe.
 * @param context tokens of prompt and output together
 * @throws UnsupportedCheckpoint
 */
export function decoderSpecOf(
  config: Readonly<Record<string, unknown>>,
  tensors: ReadonlyMap<string, TensorPlace>,
  _context: number,
): DecoderSpec {
  const type = JSON.stringify(config['model_type'] ?? null).slice(0, 100);
  const embedding = tensors.get('model.embed_tokens.weight');
  const norm = tensors.get('model.norm.weight');
  if (type !== '"llama"' || !embedding || !norm)
    throw new UnsupportedCheckpoint([`has the model_type ${type}, which is not supported`]);
  const [vocabSize = 0, hiddenSize = 0] = embedding.shape;
  return {
    ...{ vocabSize, hiddenSize, embedding, embeddingScale: 1, rotaries: [], layers: [], logitScale: 1 },
    finalNorm: { weight: norm, epsilon: 1e-5, offset: 0 },
    head: { weight: embedding },
  };
}
