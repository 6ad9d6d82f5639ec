/**
 * Gets the graph of a candidate for a device: reads it from an .onnx file, or builds it for the decoder of a
 * checkpoint.
 */
import { relative } from 'node:path';
import { buildDecoder } from '../../graph-builder/build-decoder.ts';
import { CHOICES } from '../../graph-builder/choices.ts';
import { halveAttention } from '../../onnx/edit/half-attention.ts';
import { TOP_COUNT } from '../../onnx/edit/top-logits.ts';
import { BFLOAT16, ELEMENT_BYTES, FLOAT16, FLOAT32 } from '../../onnx/types.ts';
import type { DecoderSpec, GraphMatrix, TensorPlace } from '../../protocol/decoder/decoder-spec.ts';
import { placesOf } from '../../protocol/decoder/places.ts';
import { DEVICES, type DeviceName, kindOf } from '../../protocol/devices.ts';
import type { Candidate, EngineOptions, GpuGraph } from '../../protocol/loading.ts';
import { type ReadFile, sizeOf } from '../load/read-ahead.ts';
import { commonFolder, declaredBy, type ModelFile, readModel } from './model-file.ts';

/** The options on which a graph depends. */
interface GraphOptions extends Pick<EngineOptions, 'names' | 'context'> {
  /** How the device decodes; default: `off`. */
  readonly gpuGraph?: GpuGraph | undefined;
}

/** A candidate whose matrices a graph can read. */
export interface GraphCandidate extends Omit<Candidate, 'decoder' | 'quantize'> {
  readonly decoder?: DecoderSpec<GraphMatrix>;
  /** The bytes that the runtime reads, if they are a part of the weight files. */
  readonly parts?: readonly ReadFile[];
  /** A weight file is of this engine alone, and loses its name soon: no saved weights may refer to it. */
  readonly hasOwnFile?: true;
}

/** The graph of a candidate on a device. Never throws for an .onnx file: the runtime reports its fault. */
export function modelOf(candidate: GraphCandidate, device: DeviceName, options: GraphOptions): ModelFile {
  const { modelFile, weightFiles, decoder } = candidate;
  if (decoder) return build({ ...candidate, decoder, device }, options);
  const { names, gpuGraph = 'off' } = options;
  const { logits, inputIds, attentionMask } = names;
  const { halfAttention } = DEVICES[kindOf(device)];
  const selectsTop = gpuGraph !== 'off';
  return readModel(modelFile, { logits, inputIds, attentionMask, halfAttention, weightFiles, selectsTop });
}

/**
 * Bytes of the weights on a device. For an .onnx file: the size of its files. For a checkpoint: the bytes
 * that its graph reads, and its rotary tables; half floats count as float32 if the device does not compute
 * with them.
 * @param positions maximum number of tokens in a row
 */
export function weightBytesOn(device: DeviceName, { weightFiles, decoder }: GraphCandidate, positions: number): number {
  if (!decoder) return weightFiles.reduce((sum, file) => sum + sizeOf(file), 0);
  const { native } = CHOICES[kindOf(device)];
  const widened = ({ type, bytes }: TensorPlace): number =>
    FLOATS.includes(type) && !native.includes(type)
      ? (bytes * WIDE_BYTES) / (ELEMENT_BYTES[type] ?? WIDE_BYTES)
      : bytes;
  const columns = decoder.rotaries.reduce((sum, { frequencies }) => sum + 2 * frequencies.length, 0);
  return placesOf(decoder).reduce((sum, place) => sum + widened(place), columns * positions * WIDE_BYTES);
}

const FLOATS: readonly number[] = [FLOAT32, FLOAT16, BFLOAT16];
const WIDE_BYTES = Float32Array.BYTES_PER_ELEMENT;

function build(
  { modelFile, weightFiles, decoder, device }: GraphCandidate & { readonly decoder: DecoderSpec<GraphMatrix> },
  { context: positions, gpuGraph = 'off' }: GraphOptions,
): ModelFile {
  const kind = kindOf(device);
  const folder = commonFolder(weightFiles);
  const files = weightFiles.map((file) => relative(folder, file));
  const { bytes, updated, ...io } = buildDecoder(decoder, {
    // A recorded run has no part on the host: every table of embeddings is on the device.
    choices: { ...CHOICES[kind], ...(gpuGraph === 'captured' && { widenedTables: FLOATS }) },
    files,
    positions,
    ...(gpuGraph !== 'off' && { topLogits: TOP_COUNT }),
  });
  const embeddingRows = decoder.embedding.shape[0] ?? 0;
  const facts = { folder, isRequired: true, updated, embeddingRows };
  const halved = DEVICES[kind].halfAttention ? halveAttention(bytes) : undefined;
  const edited = halved ? { ...facts, bytes: halved, ...declaredBy(halved) } : { ...facts, bytes, ...io };
  return { path: modelFile, edited };
}
