/** Reads MXFP4 whose scales are a tensor of their own, as the blocks of a GGUF file. */
import type { SplitBlocks } from '../../protocol/decoder/decoder-spec.ts';
import type { SourceFiles } from './source-files.ts';

/** Values and bytes of a block, without and with its scale. */
const [VALUES, HALVES, BLOCK] = [32, 16, 17];

/** A piece of a matrix: its first value, and the space for its blocks. */
export interface Piece {
  readonly start: number;
  readonly bytes: Uint8Array;
}

/**
 * Fills the space with the blocks from a position: the scale, then 16 bytes of which byte i has the values i
 * and i + 16. The files have the values 2i and 2i + 1 in byte i.
 * @throws Error that names the file if it ends before
 */
export function readSplitBlocks(files: SourceFiles, source: SplitBlocks, { start, bytes }: Piece): void {
  const blocks = bytes.length / BLOCK;
  const pairs = new Uint8Array(blocks * HALVES);
  const scales = new Uint8Array(blocks);
  files.read(source.file, source.offset + start / 2, pairs);
  files.read(source.scales.file, source.scales.offset + start / VALUES, scales);
  for (let block = 0; block < blocks; block += 1) {
    const [from, to] = [block * HALVES, block * BLOCK];
    bytes[to] = scales[block] ?? 0;
    for (let i = 0; i < HALVES / 2; i += 1) {
      const [one, other] = [pairs[from + i] ?? 0, pairs[from + i + HALVES / 2] ?? 0];
      bytes[to + 1 + 2 * i] = (one & 15) | ((other & 15) << 4);
      bytes[to + 2 + 2 * i] = (one >> 4) | (other & 0xf0);
    }
  }
}
