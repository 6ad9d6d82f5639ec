/** Reads MXFP4 whose scales are a tensor of their own, as the blocks of a GGUF file. */
import type { SplitBlocks } from '../../protocol/decoder/decoder-spec.ts';
import type { Kernels } from './kernels/kernels.ts';
import type { SourceFiles } from './source-files.ts';

/** Values in a block, and in a byte. */
const [BLOCK, PAIR] = [32, 2];

/** A piece of a matrix: its first value and the number of its values, whole blocks. */
export interface Piece {
  readonly start: number;
  readonly count: number;
}

/**
 * Fills the source of the kernels with the blocks of a piece.
 * @throws Error that names the file if it ends before
 */
export function readSplitBlocks(files: SourceFiles, source: SplitBlocks, piece: Piece, kernels: Kernels): void {
  const { start, count } = piece;
  files.read(source.file, source.offset + start / PAIR, kernels.pairs.subarray(0, count / PAIR));
  const exponents = kernels.exponents.subarray(0, count / BLOCK);
  files.read(source.scales.file, source.scales.offset + start / BLOCK, exponents);
  kernels.joinBlocks(count / BLOCK);
}
