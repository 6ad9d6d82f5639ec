/** Reads the header of one GGUF file. Reads no weights, except the factors of rotary embeddings. */
import { FLOAT32 } from '../../../onnx/types.ts';
import { isPlain, type StoredMatrix } from '../../../protocol/decoder/decoder-spec.ts';
import { openModelFile } from '../../folder-files.ts';
import { truncation } from '../../onnx-weights.ts';
import { BrokenCheckpoint, quoted } from '../safetensors.ts';
import type { Metadata } from './gguf-file.ts';
import { type ByteSource, GGUF_LIMITS, type GgufBudget, HeaderBytes } from './header-bytes.ts';
import { readMetadata } from './metadata.ts';
import { placesOf, readTensorList } from './tensors.ts';

/** The content of one file. */
export interface GgufFile {
  /** Absolute path with links resolved. */
  readonly real: string;
  /** Size of the file. */
  readonly bytes: number;
  readonly metadata: Metadata;
  readonly tensors: ReadonlyMap<string, StoredMatrix>;
  readonly ropeFactors: ReadonlyMap<string, Float32Array>;
  /** Bytes of the tensors by the name of their type. */
  readonly bytesByType: ReadonlyMap<string, number>;
}

const MAGIC = 'GGUF';
/** Names in front of the files before GGUF, with their bytes reversed. */
const OLDER = new Set(['lmgg', 'fmgg', 'tjgg', 'algg']);
const VERSIONS: ReadonlySet<number> = new Set([2, 3]);
/** Magic, version, and the numbers of tensors and entries. */
const PREAMBLE = 24;
const DEFAULT_ALIGNMENT = 32;
const MAX_ALIGNMENT = 2 ** 16;
const AGAIN = 'convert the model again with a newer llama.cpp, or download another file';
/** The tensors whose values the description of a decoder needs. */
const ROPE_FACTORS = ['rope_freqs.weight', 'rope_factors_long.weight', 'rope_factors_short.weight'];

/** An open file on the disk or on a server. The reader closes it. */
export interface OpenGguf {
  readonly handle: ByteSource;
  readonly size: number;
  /** Absolute path with links resolved; of a file on a server, the path that it will have. */
  readonly real: string;
  readonly close: () => Promise<void>;
}

/** Opens a file of a model by its name. */
export type GgufOpener = (file: string) => Promise<OpenGguf>;

/**
 * Opens files of a folder.
 * @throws RefusedFile and errors of the file system as `openModelFile`
 */
export const openerOf =
  (root: string): GgufOpener =>
  async (file) => {
    const { handle, real } = await openModelFile(root, file);
    const { size } = await handle.stat();
    return { handle, size, real, close: () => handle.close() };
  };

/**
 * Reads and checks a header.
 * @param index the file's index in the places of the tensors
 * @throws BrokenCheckpoint, and errors of the source
 */
export async function readGgufFile(opened: OpenGguf, index: number, budget: GgufBudget): Promise<GgufFile> {
  const { handle, size, real } = opened;
  try {
    const bytes = new HeaderBytes(handle, size, budget.bytes);
    const { tensorCount, entries } = await readPreamble(bytes, size);
    const metadata = await readMetadata(bytes, entries, budget);
    const listed = await readTensorList(bytes, tensorCount, budget);
    budget.bytes -= bytes.position;
    const alignment = alignmentOf(metadata);
    const start = Math.ceil(bytes.position / alignment) * alignment;
    const tensors = placesOf(listed, { index, start, size, alignment });
    const bytesByType = new Map<string, number>();
    for (const one of listed) bytesByType.set(one.type.name, (bytesByType.get(one.type.name) ?? 0) + one.bytes);
    return { real, bytes: size, metadata, tensors, ropeFactors: await factorsIn(handle, tensors), bytesByType };
  } finally {
    await opened.close();
  }
}

async function readPreamble(bytes: HeaderBytes, size: number): Promise<{ tensorCount: number; entries: number }> {
  await bytes.ahead(PREAMBLE);
  const magic = size < MAGIC.length ? '' : (bytes.text(MAGIC.length, false) ?? '');
  if (OLDER.has(magic)) throw new BrokenCheckpoint(`has a format older than GGUF: ${AGAIN}`);
  if (magic !== MAGIC) throw new BrokenCheckpoint('is not a GGUF file');
  if (size < PREAMBLE) throw new BrokenCheckpoint(truncation(size, PREAMBLE, 'a GGUF file'));
  const version = bytes.uint32();
  if (version % 2 ** 16 === 0 && version > 0)
    throw new BrokenCheckpoint(`is big-endian; allowed: little-endian. ${UPPER}`);
  if (!VERSIONS.has(version)) throw new BrokenCheckpoint(`has version ${version} of GGUF; allowed: 2 and 3. ${UPPER}`);
  return { tensorCount: bytes.count(), entries: bytes.count() };
}

const UPPER = AGAIN.replace(/^./, (first) => first.toUpperCase());

function alignmentOf(metadata: Metadata): number {
  const alignment = metadata.get('general.alignment') ?? DEFAULT_ALIGNMENT;
  const isValid = typeof alignment === 'number' && alignment >= 1 && alignment <= MAX_ALIGNMENT;
  if (isValid && Number.isInteger(Math.log2(alignment))) return alignment;
  const value = typeof alignment === 'object' ? 'an array' : quoted(String(alignment));
  throw new BrokenCheckpoint(
    `is damaged: its "general.alignment" is ${value}; allowed: powers of two up to ${MAX_ALIGNMENT}`,
  );
}

async function factorsIn(
  handle: ByteSource,
  tensors: ReadonlyMap<string, StoredMatrix>,
): Promise<ReadonlyMap<string, Float32Array>> {
  const factors = new Map<string, Float32Array>();
  for (const name of ROPE_FACTORS) {
    const place = tensors.get(name);
    if (place === undefined) continue;
    if (!isPlain(place) || place.type !== FLOAT32 || place.bytes > GGUF_LIMITS.factors)
      throw new BrokenCheckpoint(
        `has a wrong tensor ${quoted(name)}; allowed: at most ${GGUF_LIMITS.factors / 4} values of the type F32`,
      );
    const values = new Uint8Array(place.bytes);
    const { bytesRead } = await handle.read(values, 0, values.length, place.offset);
    if (bytesRead < values.length) throw new BrokenCheckpoint('changed while it was read: try again');
    factors.set(name, new Float32Array(values.buffer));
  }
  return factors;
}
