/** Stand-in until the families of models are here: refuses every checkpoint. */
import type { DecoderSpec, TensorPlace } from '../../../protocol/decoder-spec.ts';

/** The worker cannot compute the checkpoint. Each problem continues a sentence that begins with "config.json". */
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
  _tensors: ReadonlyMap<string, TensorPlace>,
  _context: number,
): DecoderSpec {
  const type = JSON.stringify(config['model_type'] ?? null).slice(0, 100);
  throw new UnsupportedCheckpoint([`has the model_type ${type}, which is not supported`]);
}
