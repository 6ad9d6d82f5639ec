/**
 * Plans the conversion of mixtures of experts: the form of their matrices, and their places in the converted
 * file, where all experts of a layer are one matrix. Reads no file.
 */

import { FLOAT32, UINT8 } from '../../../onnx/types.ts';
import type { SourceFormat } from '../../../protocol/decoder/conversion.ts';
import {
  type DecoderSpec,
  type ExpertBiases,
  type ExpertSpec,
  hasExperts,
  isJoined,
  isPacked,
  isPlain,
  type JoinedExperts,
  type LinearSpec,
  type PackedExperts,
  type QuantizedMatrix,
  type StoredMatrix,
  type TensorPlace,
} from '../../../protocol/decoder/decoder-spec.ts';
import { EXACT_FORMS, type Form } from '../../../protocol/decoder/exact-forms.ts';
import type { ConversionTask, Rows } from './conversion-plan.ts';
import { commonForm, FLOAT_FORMS, REQUANTIZED, type RowBytes, rowBytesOf } from './forms.ts';
import type { NamedMatrix, PackedMixtures } from './matrices.ts';

/** The converted file while it is planned. */
interface Layout {
  readonly file: number;
  readonly tasks: ConversionTask[];
  /** Takes space for one part of a matrix. Returns its position. */
  reserve(bytes: number): number;
}

export interface ExpertsOptions {
  readonly quantize?: 'q8' | 'q4';
  /** The format of a matrix in its file. @throws RangeError for a matrix that cannot be converted */
  readonly formatOf: (named: NamedMatrix) => SourceFormat;
  readonly layout: Layout;
}

/**
 * Plans all mixtures of a decoder. No graph reads experts of floats: they are quantized with 8 bits if the
 * caller does not say otherwise.
 * @throws RangeError with the name of a matrix that cannot be converted
 */
export function planExperts(decoder: DecoderSpec, options: ExpertsOptions): PackedMixtures {
  const mixtures = new Map<Parameters<PackedMixtures['get']>[0], PackedExperts>();
  for (const [layer, { mlp }] of decoder.layers.entries()) {
    if (!hasExperts(mlp)) continue;
    const { experts } = mlp;
    const name = `layers.${layer}.mlp.experts`;
    if (isPacked(experts)) mixtures.set(mlp, experts);
    else if (isJoined(experts)) mixtures.set(mlp, planJoined(experts, name, options));
    else mixtures.set(mlp, planMixture(experts, name, options));
  }
  return mixtures;
}

/** A matrix of an expert, before it has a place. */
interface Part {
  readonly name: string;
  readonly source: StoredMatrix;
  readonly from: SourceFormat;
}

function planMixture(experts: readonly ExpertSpec[], name: string, options: ExpertsOptions): PackedExperts {
  const partsOf = (part: keyof ExpertSpec): Part[] =>
    experts.map((expert, index) => {
      const named = { name: `${name}.${index}.${part}`, matrix: expert[part].weight };
      return { name: named.name, source: named.matrix, from: options.formatOf(named) };
    });
  const [gate, up, down] = [partsOf('gate'), partsOf('up'), partsOf('down')];
  const form = sharedForm([...gate, ...up, ...down], options);
  for (const part of [...gate, ...up, ...down]) checkWidth(part, form);
  const linears = experts.flatMap((expert) => [expert.gate, expert.up, expert.down]);
  return {
    count: experts.length,
    gateUp: place([gate, up], form, options.layout),
    down: place([down], form, options.layout),
    ...(linears.some(({ bias }) => bias !== undefined) && { biases: biasesOf(experts, name) }),
  };
}

/** The rows of a joined file have the order of the packed form. */
function planJoined(experts: JoinedExperts, name: string, options: ExpertsOptions): PackedExperts {
  const { count, biases } = experts;
  const form = EXACT_FORMS.mxfp4;
  const packed = (part: 'gateUp' | 'down'): QuantizedMatrix => {
    const named = { name: `${name}.${part}`, matrix: experts[part] };
    const source = { name: named.name, source: named.matrix, from: options.formatOf(named) };
    checkWidth(source, form);
    return place([[source]], form, options.layout);
  };
  return { count, gateUp: packed('gateUp'), down: packed('down'), biases };
}

/**
 * The form of all matrices of a layer: the operator has one number of bits and one block size for both
 * products, and no minimums. The smallest form that has the weights of all formats; without one, 8 bits with
 * zero points. Floats are quantized in blocks of 32 only.
 */
function sharedForm(parts: readonly Part[], { quantize = 'q8' }: ExpertsOptions): Form {
  const common = commonForm(
    parts.map(({ source }) => (isPlain(source) ? FLOAT_FORMS[quantize] : EXACT_FORMS[source.format])),
  );
  const hasFloats = parts.some(({ source }) => isPlain(source));
  return common && !(hasFloats && common.blockSize < 32) ? common : REQUANTIZED;
}

function checkWidth({ name, source: { shape } }: Part, { blockSize }: Form): void {
  const width = shape[1] ?? 0;
  if (width % blockSize === 0 && width > blockSize) return;
  throw new RangeError(
    `${name} has rows of ${width} weights; allowed in a mixture of experts: a multiple of ${blockSize} above ${blockSize}`,
  );
}

/** Places matrices of all experts. The rows of the matrices of one expert follow each other in turn. */
function place(matrices: readonly (readonly Part[])[], form: Form, layout: Layout): QuantizedMatrix {
  const [first = []] = matrices;
  const [rows = 0, width = 0] = first[0]?.source.shape ?? [];
  const total = first.length * matrices.length * rows;
  const bytes = rowBytesOf(form, width);
  const places = {
    values: layout.reserve(total * bytes.values),
    scales: layout.reserve(total * bytes.scales),
    ...(form.extra === 'zeroPoints' && { zeroPoints: layout.reserve(total * bytes.zeroPoints) }),
  };
  // Both matrices of an expert follow each other: the rows of the second one fill the gaps of the first one.
  for (const expert of first.keys()) {
    for (const [turn, parts] of matrices.entries()) {
      const part = parts[expert];
      if (!part) continue;
      const row = expert * matrices.length * rows + turn;
      const rowsOf = (offset: number, size: number): Rows => ({
        offset: offset + row * size,
        stride: matrices.length * size,
      });
      layout.tasks.push({
        ...part,
        form,
        values: rowsOf(places.values, bytes.values),
        scales: rowsOf(places.scales, bytes.scales),
        ...(places.zeroPoints !== undefined && { zeroPoints: rowsOf(places.zeroPoints, bytes.zeroPoints) }),
      });
    }
  }
  const blocks = width / form.blockSize;
  const tensor = (part: keyof RowBytes, offset: number, type: number, inner: readonly number[]): TensorPlace => ({
    ...{ file: layout.file, offset, bytes: total * bytes[part], type },
    shape: [total, ...inner],
  });
  return {
    ...{ shape: [total, width], bits: form.bits, blockSize: form.blockSize },
    values: tensor('values', places.values, UINT8, [blocks, (form.blockSize * form.bits) / 8]),
    scales: tensor('scales', places.scales, FLOAT32, [blocks]),
    ...(places.zeroPoints !== undefined && {
      zeroPoints: tensor('zeroPoints', places.zeroPoints, UINT8, [blocks]),
    }),
  };
}

/** @throws RangeError if an expert lacks a bias that another one has */
function biasesOf(experts: readonly ExpertSpec[], name: string): ExpertBiases {
  const of = (part: keyof ExpertSpec): TensorPlace[] =>
    experts.map((expert, index) => {
      const { bias }: LinearSpec = expert[part];
      if (!bias) throw new RangeError(`${name}.${index}.${part} lacks a bias, which other matrices have`);
      return bias;
    });
  return { gate: of('gate'), up: of('up'), down: of('down') };
}
