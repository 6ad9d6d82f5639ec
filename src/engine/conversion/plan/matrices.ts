/** The matrices of a decoder: their list, and a copy of the decoder with other matrices. Pure. */
import {
  type DecoderSpec,
  type ExpertSpec,
  type ExpertsSpec,
  type GraphMatrix,
  hasExperts,
  type LayerSpec,
  type LinearSpec,
  type PackedExperts,
  type StoredMatrix,
} from '../../../protocol/decoder/decoder-spec.ts';

/** A matrix and its name: the path in the decoder, for example `layers.3.attention.q`. */
export interface NamedMatrix {
  readonly name: string;
  readonly matrix: StoredMatrix;
  /** Chooses the experts. It is small, and rounding changes the choice: it is never quantized at load. */
  readonly isRouter?: true;
}

/** Matrices that a graph may read as one matrix: their rows follow each other. */
export type MatrixGroup = readonly NamedMatrix[];

/**
 * All matrices in the order of the computation, except for those of experts. q, k and v of a layer are one
 * group.
 */
export function matrixGroups(decoder: DecoderSpec): MatrixGroup[] {
  return [
    [{ name: 'embedding', matrix: decoder.embedding }],
    ...decoder.layers.flatMap((layer, index) => layerGroups(layer, `layers.${index}`)),
    [{ name: 'head', matrix: decoder.head.weight }],
  ];
}

function layerGroups({ attention, mlp }: LayerSpec, path: string): MatrixGroup[] {
  const named = (name: string, linear: LinearSpec): NamedMatrix => ({ name: `${path}.${name}`, matrix: linear.weight });
  const mlpGroups = (part: ExpertSpec, name: string): MatrixGroup[] => [
    [named(`${name}.gate`, part.gate)],
    [named(`${name}.up`, part.up)],
    [named(`${name}.down`, part.down)],
  ];
  return [
    [named('attention.q', attention.q), named('attention.k', attention.k), named('attention.v', attention.v)],
    [named('attention.output', attention.output)],
    ...(hasExperts(mlp) ? [[{ ...named('mlp.router', mlp.router), isRouter: true as const }]] : mlpGroups(mlp, 'mlp')),
  ];
}

/** The experts of a layer and their packed form. */
export type PackedMixtures = ReadonlyMap<ExpertsSpec, PackedExperts>;

/**
 * The decoder with the result of `map` in the place of each matrix, and with packed experts.
 * @param mixtures all mixtures of the decoder
 */
export function mapMatrices(
  decoder: DecoderSpec,
  map: (matrix: StoredMatrix) => GraphMatrix,
  mixtures: PackedMixtures,
): DecoderSpec<GraphMatrix> {
  const linear = (part: LinearSpec): LinearSpec<GraphMatrix> => ({ ...part, weight: map(part.weight) });
  const gated = <P extends ExpertSpec>(part: P) => ({
    ...part,
    gate: linear(part.gate),
    up: linear(part.up),
    down: linear(part.down),
  });
  const layer = (part: LayerSpec): LayerSpec<GraphMatrix> => ({
    ...part,
    attention: {
      ...part.attention,
      q: linear(part.attention.q),
      k: linear(part.attention.k),
      v: linear(part.attention.v),
      output: linear(part.attention.output),
    },
    mlp: hasExperts(part.mlp)
      ? { ...part.mlp, router: linear(part.mlp.router), experts: mixtures.get(part.mlp) ?? [] }
      : gated(part.mlp),
  });
  return {
    ...decoder,
    embedding: map(decoder.embedding),
    layers: decoder.layers.map(layer),
    head: linear(decoder.head),
  };
}
