/**
 * Writes the converted file of a plan: reads the matrices in pieces, converts them by the kernels, and writes
 * each part to its place. Uses about 6 MiB of memory for models of any size.
 */
import { closeSync, fsyncSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import type { Exactness } from '../../protocol/decoder/conversion.ts';
import { Differences } from './differences.ts';
import { Kernels, PIECE } from './kernels/kernels.ts';
import type { ConversionPlan, ConversionTask, Rows } from './plan/conversion-plan.ts';
import { type RowBytes, rowBytesOf } from './plan/forms.ts';
import { sourceBytes } from './plan/plan-conversion.ts';
import { SourceFiles } from './source-files.ts';

export interface ConversionTarget {
  /** Paths of the weight files, in the order of `Candidate.weightFiles`. */
  readonly weightFiles: readonly string[];
  /** The converted file. It is created, or replaced. */
  readonly path: string;
  /** Receives the bytes of the weight files that are converted, after each piece of at most 4 MiB. */
  readonly onProgress: (sourceBytes: number) => void;
}

/**
 * Writes the converted file, and waits until the disk has it.
 * @throws Error that names the file if a weight file ends early, or if a scale in it is not finite; and the
 *   errors of the system: a full disk is ENOSPC. The caller removes the converted file then.
 */
export function convertWeights(plan: ConversionPlan, { weightFiles, path, onProgress }: ConversionTarget): Exactness[] {
  const files = new SourceFiles(weightFiles);
  const output = openSync(path, 'w');
  try {
    const conversion = new Conversion(files, output);
    let done = 0;
    for (const task of plan.tasks) {
      for (const bytes of conversion.run(task)) {
        done += bytes;
        onProgress(done);
      }
    }
    // The file may end with a gap.
    ftruncateSync(output, plan.bytes);
    fsyncSync(output);
    return plan.weights.map((weights) => ({ ...weights, difference: conversion.differences.of(weights) }));
  } finally {
    closeSync(output);
    files.close();
  }
}

class Conversion {
  readonly differences = new Differences();
  readonly #kernels = new Kernels();
  readonly #files: SourceFiles;
  readonly #output: number;

  constructor(files: SourceFiles, output: number) {
    this.#files = files;
    this.#output = output;
  }

  /** Converts one matrix. Yields the bytes of each piece in the weight file. */
  *run(task: ConversionTask): Generator<number> {
    const { source, from, form } = task;
    const [rows = 0, width = 0] = source.shape;
    const total = rows * width;
    for (let start = 0; start < total; start += PIECE) {
      const count = Math.min(PIECE, total - start);
      const bytes = this.#kernels.source.subarray(0, sourceBytes(from, count));
      this.#files.read(source.file, source.offset + sourceBytes(from, start), bytes);
      if (!this.#kernels.convert(from, form, count)) throw this.#notFinite(task, start);
      this.differences.add(task, bytes, { parts: this.#kernels, count });
      this.#write(task, start, count);
      yield bytes.length;
    }
  }

  #notFinite({ name, source, from, form }: ConversionTask, start: number): Error {
    const { scales, minimums } = this.#kernels;
    const isBad = (_: number, index: number): boolean =>
      !Number.isFinite(scales[index]) || (form.extra === 'minimums' && !Number.isFinite(minimums[index]));
    const row = Math.floor((start + scales.findIndex(isBad) * form.blockSize) / (source.shape[1] ?? 1));
    return new Error(
      `row ${row} of the matrix ${name} (${from}) in ${this.#files.path(source.file)} has a scale or a weight that is no finite number`,
    );
  }

  #write({ source, form, values, scales, minimums, zeroPoints }: ConversionTask, start: number, count: number): void {
    const kernels = this.#kernels;
    // The function is linear: the size of a row, the position of the piece without gaps, and its size.
    const [row, first, size] = [source.shape[1] ?? 0, start, count].map((weights) => rowBytesOf(form, weights));
    const write = (rows: Rows, part: keyof RowBytes, bytes: Uint8Array): void => {
      if (!row || !first || !size) return;
      const destination = { rows, rowBytes: row[part], first: first[part] };
      writeRows(this.#output, destination, bytes.subarray(0, size[part]));
    };
    write(values, 'values', kernels.values);
    write(scales, 'scales', bytesOf(kernels.scales));
    if (minimums) write(minimums, 'scales', bytesOf(kernels.minimums));
    if (zeroPoints) write(zeroPoints, 'zeroPoints', kernels.zeroPoints);
  }
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

/**
 * The rows of a part, and the position of the first byte to write, counted without the gaps between the rows.
 */
interface Destination {
  readonly rows: Rows;
  readonly rowBytes: number;
  readonly first: number;
}

function writeRows(file: number, { rows, rowBytes, first }: Destination, bytes: Uint8Array): void {
  if (rows.stride === rowBytes) {
    writeAll(file, bytes, rows.offset + first);
    return;
  }
  for (let at = 0; at < bytes.length; ) {
    const row = Math.floor((first + at) / rowBytes);
    const inRow = (first + at) % rowBytes;
    const length = Math.min(rowBytes - inRow, bytes.length - at);
    writeAll(file, bytes.subarray(at, at + length), rows.offset + row * rows.stride + inRow);
    at += length;
  }
}

/** @throws Error of the system, for example ENOSPC */
function writeAll(file: number, bytes: Uint8Array, position: number): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at, bytes.length - at, position + at);
}
