/**
 * Plans the conversion of a decoder's matrices: the form of each matrix, and the layout of the converted
 * file. Reads no file.
 */

import { BFLOAT16, FLOAT16, FLOAT32, UINT8 } from '../../../onnx/types.ts';
import { BLOCK_FORMATS, blockBytes } from '../../../protocol/decoder/block-formats.ts';
import type { ConvertedWeights, SourceFormat } from '../../../protocol/decoder/conversion.ts';
import {
  type DecoderSpec,
  type GraphMatrix,
  isPlain,
  type QuantizedMatrix,
  type StoredMatrix,
  type TensorPlace,
} from '../../../protocol/decoder/decoder-spec.ts';
import { EXACT_FORMS, type Form } from '../../../protocol/decoder/exact-forms.ts';
import type { ConversionPlan, ConversionTask, Rows } from './conversion-plan.ts';
import { FLOAT_FORMS, isSameForm, type RowBytes, rowBytesOf } from './forms.ts';
import { mapMatrices, matrixGroups, type NamedMatrix } from './matrices.ts';
import { planExperts } from './plan-experts.ts';
import { kindKey, kindOf } from './weights-kind.ts';

export interface ConversionOptions {
  /** Quantizes the matrices of floats; absent = they stay as they are. */
  readonly quantize?: 'q8' | 'q4';
  /** Index of the converted file: the number of weight files. */
  readonly file: number;
}

/** Alignment of the parts of a group in the converted file. */
const ALIGNMENT = 64;
const FLOAT_FORMATS: Readonly<Record<number, SourceFormat>> = {
  [FLOAT32]: 'f32',
  [FLOAT16]: 'f16',
  [BFLOAT16]: 'bf16',
};
const FLOAT_BYTES = { f32: 4, f16: 2, bf16: 2 };

/** Bytes of `weights` weights in a weight file, a multiple of the block. */
export const sourceBytes = (from: SourceFormat, weights: number): number =>
  from === 'f32' || from === 'f16' || from === 'bf16' ? weights * FLOAT_BYTES[from] : blockBytes(from, weights);

/** A matrix that is converted, before it has a place. */
interface Wanted {
  readonly name: string;
  readonly source: StoredMatrix;
  readonly from: SourceFormat;
  readonly form: Form;
}

/**
 * The plan for all matrices that no graph reads.
 * @returns undefined if there is nothing to convert.
 * @throws RangeError with the name of the matrix if its shape, its bytes or its type do not fit its format;
 *   and if the caller quantizes and no matrix can be quantized
 */
export function planConversion(decoder: DecoderSpec, options: ConversionOptions): ConversionPlan | undefined {
  const layout = new Layout(options.file);
  const floats: string[] = [];
  for (const group of matrixGroups(decoder)) {
    const wanted = group.flatMap((named) => wantedOf(named, options) ?? []);
    for (const run of runsOf(wanted.filter(({ source }) => !layout.has(source)))) layout.add(run);
    for (const named of group) if (staysFloat(named, options)) floats.push(named.name);
  }
  const mixtures = planExperts(decoder, { ...options, formatOf, layout });
  if (layout.tasks.length === 0 && floats.length > 0)
    throw new RangeError(
      `use --dtype auto: no matrix of the model can be quantized, because no row is a multiple of ${FLOAT_FORMS.q8.blockSize} weights`,
    );
  if (layout.tasks.length === 0) return undefined;
  return {
    decoder: mapMatrices(decoder, (matrix) => layout.converted(matrix), mixtures),
    bytes: layout.bytes,
    sourceBytes: layout.tasks.reduce((sum, { source }) => sum + source.bytes, 0),
    weights: countWeights(layout.tasks),
    tasks: layout.tasks,
    floats: [...new Set(floats)],
  };
}

const staysFloat = ({ matrix, isRouter }: NamedMatrix, { quantize }: ConversionOptions): boolean =>
  quantize !== undefined &&
  !isRouter &&
  isPlain(matrix) &&
  (matrix.shape[1] ?? 0) % FLOAT_FORMS[quantize].blockSize > 0;

function wantedOf(named: NamedMatrix, options: ConversionOptions): Wanted | undefined {
  const { name, matrix, isRouter } = named;
  if (!isPlain(matrix)) return { name, source: matrix, from: formatOf(named), form: EXACT_FORMS[matrix.format] };
  if (options.quantize === undefined || isRouter || staysFloat(named, options)) return undefined;
  return { name, source: matrix, from: formatOf(named), form: FLOAT_FORMS[options.quantize] };
}

/**
 * The format of a matrix in its file.
 * @throws RangeError if its shape, its bytes or its type are not those of the format
 */
function formatOf(named: NamedMatrix): SourceFormat {
  const { name, matrix } = named;
  if (!isPlain(matrix)) {
    checkShape(named, BLOCK_FORMATS[matrix.format].values, matrix.format);
    return matrix.format;
  }
  const from = FLOAT_FORMATS[matrix.type];
  if (from === undefined)
    throw new RangeError(
      `${name} has elements of type ${matrix.type}; only float32, float16 and bfloat16 are quantized`,
    );
  checkShape(named, 1, from);
  return from;
}

function checkShape({ name, matrix }: NamedMatrix, multiple: number, from: SourceFormat): void {
  const { shape, bytes } = matrix;
  const [rows = 0, width = 0] = shape;
  const isMatrix = shape.length === 2 && shape.every((size) => Number.isSafeInteger(size) && size > 0);
  if (!isMatrix || width % multiple !== 0) {
    throw new RangeError(
      `${name} has the shape [${shape}]; a matrix [out, in] is needed, and in a multiple of ${multiple}`,
    );
  }
  const expected = rows * sourceBytes(from, width);
  if (bytes !== expected)
    throw new RangeError(`${name} has ${bytes} bytes, and its shape [${shape}] needs ${expected}`);
}

/** Divides a list into runs of neighbours that can be one matrix. */
function runsOf(list: readonly Wanted[]): Wanted[][] {
  const runs: Wanted[][] = [];
  for (const each of list) {
    const run = runs.at(-1);
    const last = run?.at(-1);
    const fits = last && isSameForm(last.form, each.form) && last.source.shape[1] === each.source.shape[1];
    if (run && fits) run.push(each);
    else runs.push([each]);
  }
  return runs;
}

/** Assigns places in the converted file, one group after the other. */
class Layout {
  readonly tasks: ConversionTask[] = [];
  bytes = 0;
  /** Index of the converted file. */
  readonly file: number;
  readonly #converted = new Map<string, QuantizedMatrix>();

  constructor(file: number) {
    this.file = file;
  }

  /** Takes space for one part of a matrix. Returns its position. */
  reserve(bytes: number): number {
    const offset = Math.ceil(this.bytes / ALIGNMENT) * ALIGNMENT;
    this.bytes = offset + bytes;
    return offset;
  }

  has(matrix: StoredMatrix): boolean {
    return this.#converted.has(keyOf(matrix));
  }

  /** The converted form of a matrix, which other places of the decoder may share; else the matrix itself. */
  converted(matrix: StoredMatrix): GraphMatrix {
    const converted = this.#converted.get(keyOf(matrix));
    if (converted) return converted;
    if (isPlain(matrix)) return matrix;
    throw new Error('a matrix has no place in the converted file');
  }

  /**
   * Places matrices that a graph may read as one: the values of all matrices without gaps, then the scales of
   * all, then the minimums or zero points of all.
   */
  add(run: readonly Wanted[]): void {
    const distinct = run.filter(
      ({ source }, index) => run.findIndex((other) => keyOf(other.source) === keyOf(source)) === index,
    );
    const values = this.#part(distinct, 'values');
    const scales = this.#part(distinct, 'scales');
    const extra = distinct[0]?.form.extra;
    const extras = extra && this.#part(distinct, extra === 'minimums' ? 'scales' : 'zeroPoints');
    for (const [index, wanted] of distinct.entries()) {
      const places = { values: values[index], scales: scales[index], extra: extras?.[index] };
      if (!places.values || !places.scales) continue;
      const { values: valueRows, scales: scaleRows } = places;
      const task = { ...wanted, values: valueRows, scales: scaleRows, ...(extra && { [extra]: places.extra }) };
      this.tasks.push(task);
      this.#converted.set(keyOf(wanted.source), this.#matrix(task));
    }
  }

  #part(run: readonly Wanted[], part: keyof RowBytes): Rows[] {
    this.bytes = Math.ceil(this.bytes / ALIGNMENT) * ALIGNMENT;
    return run.map(({ source: { shape }, form }) => {
      const [rows = 0, width = 0] = shape;
      const stride = rowBytesOf(form, width)[part];
      const offset = this.bytes;
      this.bytes += rows * stride;
      return { offset, stride };
    });
  }

  #matrix({ source: { shape }, form, values, scales, minimums, zeroPoints }: ConversionTask): QuantizedMatrix {
    const [rows = 0, width = 0] = shape;
    const blocks = width / form.blockSize;
    const place = ({ offset, stride }: Rows, type: number, inner: readonly number[]): TensorPlace => ({
      file: this.file,
      offset,
      bytes: rows * stride,
      type,
      shape: [rows, ...inner],
    });
    return {
      shape: [rows, width],
      bits: form.bits,
      blockSize: form.blockSize,
      values: place(values, UINT8, [blocks, (form.blockSize * form.bits) / 8]),
      scales: place(scales, FLOAT32, [blocks]),
      ...(zeroPoints && { zeroPoints: place(zeroPoints, UINT8, [blocks]) }),
      ...(minimums && { minimums: place(minimums, FLOAT32, [blocks]) }),
    };
  }
}

const keyOf = (matrix: StoredMatrix): string =>
  [matrix.file, matrix.offset, isPlain(matrix) ? matrix.type : matrix.format, matrix.shape].join(':');

function countWeights(tasks: readonly ConversionTask[]): ConvertedWeights[] {
  const counted = new Map<string, ConvertedWeights>();
  for (const task of tasks) {
    const [kind, [rows = 0, columns = 0]] = [kindOf(task), task.source.shape];
    const { matrices, count } = counted.get(kindKey(kind)) ?? { matrices: 0, count: 0 };
    counted.set(kindKey(kind), { ...kind, matrices: matrices + 1, count: count + rows * columns });
  }
  return [...counted.values()];
}
