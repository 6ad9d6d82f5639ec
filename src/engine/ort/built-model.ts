/**
 * Gets the graph of a candidate for a device: reads it from an .onnx file, or builds it for the decoder of a
 * checkpoint.
 */
import { relative } from 'node:path';
import { buildDecoder } from '../../graph-builder/build-decoder.ts';
import { CHOICES } from '../../graph-builder/choices.ts';
import { halveAttention } from '../../onnx/half-attention.ts';
import { ELEMENT_BYTES, FLOAT32 } from '../../onnx/types.ts';
import { type DecoderSpec, type GraphMatrix, isPlain } from '../../protocol/decoder/decoder-spec.ts';
import { DEVICES, type DeviceName, kindOf } from '../../protocol/devices.ts';
import type { Candidate, EngineOptions } from '../../protocol/loading.ts';
import { type ReadFile, sizeToRead } from '../load/read-ahead.ts';
import { commonFolder, declaredBy, type ModelFile, readModel } from './model-file.ts';

/** The options of the engine on which a graph depends. */
type GraphOptions = Pick<EngineOptions, 'names' | 'context'>;

/** A candidate whose matrices a graph can read. */
export interface GraphCandidate extends Omit<Candidate, 'decoder' | 'quantize'> {
  readonly decoder?: DecoderSpec<GraphMatrix>;
  /** The bytes that the runtime reads, if they are a part of the weight files. */
  readonly parts?: readonly ReadFile[];
}

/** The graph of a candidate on a device. Never throws for an .onnx file: the runtime reports its fault. */
export function modelOf(candidate: GraphCandidate, device: DeviceName, options: GraphOptions): ModelFile {
  const { modelFile, weightFiles, decoder } = candidate;
  if (decoder) return build({ ...candidate, decoder, device }, options.context);
  const { logits, inputIds } = options.names;
  const { halfAttention } = DEVICES[kindOf(device)];
  return readModel(modelFile, { logits, inputIds, halfAttention, weightFiles });
}

/**
 * Bytes of the weights on a device: those of the files. A checkpoint also has rotary tables, and half floats
 * that the device does not compute with are widened to float32.
 * @param positions maximum number of tokens in a row
 */
export function weightBytesOn(
  device: DeviceName,
  { weightFiles, decoder, parts = weightFiles }: GraphCandidate,
  positions: number,
): number {
  const files = parts.reduce((sum, part) => sum + sizeToRead(part), 0);
  if (!decoder) return files;
  const { embedding } = decoder;
  const type = isPlain(embedding) ? embedding.type : FLOAT32;
  const isNative = CHOICES[kindOf(device)].native.includes(type);
  const columns = decoder.rotaries.reduce((sum, { frequencies }) => sum + 2 * frequencies.length, 0);
  const wideBytes = Float32Array.BYTES_PER_ELEMENT;
  return (
    (isNative ? files : (files * wideBytes) / (ELEMENT_BYTES[type] ?? wideBytes)) + columns * positions * wideBytes
  );
}

function build(
  { modelFile, weightFiles, decoder, device }: GraphCandidate & { readonly decoder: DecoderSpec<GraphMatrix> },
  positions: number,
): ModelFile {
  const kind = kindOf(device);
  const folder = commonFolder(weightFiles);
  const files = weightFiles.map((file) => relative(folder, file));
  const { bytes, updated, ...io } = buildDecoder(decoder, {
    choices: CHOICES[kind],
    files,
    positions,
  });
  const embeddingRows = decoder.embedding.shape[0] ?? 0;
  const facts = { folder, isRequired: true, updated, embeddingRows };
  const halved = DEVICES[kind].halfAttention ? halveAttention(bytes) : undefined;
  const edited = halved ? { ...facts, bytes: halved, ...declaredBy(halved) } : { ...facts, bytes, ...io };
  return { path: modelFile, edited };
}
