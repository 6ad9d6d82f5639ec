/**
 * Writes the converted file of a plan: reads the matrices in pieces, converts them by the kernels, and writes
 * each part to its place. Uses about 9 MiB of memory for models of any size.
 */
import { closeSync, fsyncSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import type { Exactness } from '../../protocol/decoder/conversion.ts';
import { isSplit } from '../../protocol/decoder/decoder-spec.ts';
import { Differences } from './differences.ts';
import { Kernels, PIECE } from './kernels/kernels.ts';
import type { ConversionPlan, ConversionTask, Rows } from './plan/conversion-plan.ts';
import { type RowBytes, rowBytesOf } from './plan/forms.ts';
import { sourceBytes } from './plan/plan-conversion.ts';
import { SourceFiles } from './source-files.ts';
import { readSplitBlocks } from './split-blocks.ts';

/** The files of a conversion. */
export interface ConversionFiles {
  /** Paths of the weight files, in the order of `Candidate.weightFiles`. */
  readonly weightFiles: readonly string[];
  /** The converted file. It is created, or replaced. */
  readonly path: string;
  /** True for an empty file that exists: it is not created again after the worker has removed its name. */
  readonly exists?: boolean;
  /** Receives the bytes of the weight files that are converted, after each piece of at most 4 MiB. */
  readonly onProgress: (sourceBytes: number) => void;
}

/**
 * Writes the converted file, and waits until the disk has it.
 * @throws Error that names the file if a weight file ends early, or if a scale in it is not finite; and the
 *   errors of the system: a full disk is ENOSPC. The caller removes the converted file then.
 */
export function convertWeights(plan: ConversionPlan, target: ConversionFiles): Exactness[] {
  const { weightFiles, path, exists = false, onProgress } = target;
  const files = new SourceFiles(weightFiles);
  const output = openSync(path, exists ? 'r+' : 'w+');
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
      if (isSplit(source)) readSplitBlocks(this.#files, source, { start, count }, this.#kernels);
      else this.#files.read(source.file, source.offset + sourceBytes(from, start), bytes);
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
      `download ${this.#files.path(source.file)} again: row ${row} of the matrix ${name} (${from}) has a scale or a weight that is no finite number`,
    );
  }

  #write({ source, form, values, scales, minimums, zeroPoints }: ConversionTask, start: number, count: number): void {
    const kernels = this.#kernels;
    // rowBytesOf is linear, so it also gives the position of the piece, without gaps, and its size.
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

/** Rows with gaps are written by one call together with the gaps, which keep their bytes. */
function writeRows(file: number, { rows, rowBytes, first }: Destination, bytes: Uint8Array): void {
  const positionOf = (at: number): number => rows.offset + Math.floor(at / rowBytes) * rows.stride + (at % rowBytes);
  const begin = positionOf(first);
  if (rows.stride === rowBytes) {
    writeAll(file, bytes, begin);
    return;
  }
  const region = new Uint8Array(positionOf(first + bytes.length - 1) + 1 - begin);
  readBytes(file, region, begin);
  for (let at = 0; at < bytes.length; ) {
    const length = Math.min(rowBytes - ((first + at) % rowBytes), bytes.length - at);
    region.set(bytes.subarray(at, at + length), positionOf(first + at) - begin);
    at += length;
  }
  writeAll(file, region, begin);
}

/** Reads the bytes that the file has. The others stay as they are. */
function readBytes(file: number, bytes: Uint8Array, position: number): void {
  for (let at = 0, read = 1; read > 0 && at < bytes.length; at += read)
    read = readSync(file, bytes, at, bytes.length - at, position + at);
}

/** @throws Error of the system, for example ENOSPC */
function writeAll(file: number, bytes: Uint8Array, position: number): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at, bytes.length - at, position + at);
}
