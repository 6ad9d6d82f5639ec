/** The ranges of bytes that the weights of a decoder take in its files. Pure. */
import type { DecoderSpec, GraphMatrix, TensorPlace } from './decoder-spec.ts';

/** All places of a decoder, each range of bytes once. */
export function placesOf(decoder: DecoderSpec<GraphMatrix>): TensorPlace[] {
  const places = new Map<string, TensorPlace>();
  collect(decoder, places);
  return [...places.values()];
}

function collect(value: unknown, places: Map<string, TensorPlace>): void {
  if (typeof value !== 'object' || value === null) return;
  if (isPlace(value)) places.set(`${value.file} ${value.offset}`, value);
  else for (const part of Object.values(value)) collect(part, places);
}

const isPlace = (value: object): value is TensorPlace => 'file' in value && 'offset' in value && 'bytes' in value;
