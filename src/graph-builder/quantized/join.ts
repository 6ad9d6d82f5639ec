/** Joins matrices that are neighbours in a file to one matrix of all their rows. Pure. */
import {
  type GraphMatrix,
  isPlain,
  type QuantizedMatrix,
  type TensorPlace,
} from '../../protocol/decoder/decoder-spec.ts';

/** One place of all rows, if each tensor begins where the one before ends; undefined otherwise. */
export function joinPlaces(places: readonly TensorPlace[]): TensorPlace | undefined {
  const [first] = places;
  if (!first) return undefined;
  let [end, rows] = [first.offset, 0];
  for (const { file, offset, bytes, type, shape } of places) {
    if (file !== first.file || type !== first.type || offset !== end || shape[1] !== first.shape[1]) return undefined;
    end += bytes;
    rows += shape[0] ?? 0;
  }
  return { ...first, bytes: end - first.offset, shape: [rows, ...first.shape.slice(1)] };
}

/** One matrix of all rows, if the forms are equal, and the values, scales, … of all are neighbours. */
export function joinQuantized(all: readonly GraphMatrix[]): QuantizedMatrix | undefined {
  const matrices = all.flatMap((matrix) => (isPlain(matrix) ? [] : [matrix]));
  const [first] = matrices;
  if (!first || matrices.length < all.length) return undefined;
  const { bits, blockSize } = first;
  if (matrices.some((one) => one.bits !== bits || one.blockSize !== blockSize)) return undefined;
  const values = joinPlaces(matrices.map((one) => one.values));
  const scales = joinPlaces(matrices.map((one) => one.scales));
  const zeroPoints = joinOptional(matrices.map((one) => one.zeroPoints));
  const minimums = joinOptional(matrices.map((one) => one.minimums));
  if (!values || !scales || zeroPoints === 'apart' || minimums === 'apart') return undefined;
  const rows = matrices.reduce((sum, { shape }) => sum + (shape[0] ?? 0), 0);
  return {
    ...{ shape: [rows, ...first.shape.slice(1)], bits, blockSize, values, scales },
    ...(zeroPoints && { zeroPoints }),
    ...(minimums && { minimums }),
  };
}

function joinOptional(places: readonly (TensorPlace | undefined)[]): TensorPlace | undefined | 'apart' {
  const present = places.filter((place) => place !== undefined);
  if (present.length === 0) return undefined;
  return (present.length === places.length ? joinPlaces(present) : undefined) ?? 'apart';
}
