/**
 * Reads the list of tensors of a GGUF file, and checks their places. As llama.cpp, expects one tensor after
 * another without a gap: other places are signs of a damaged or changed header.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { StoredMatrix } from '../../../protocol/decoder/decoder-spec.ts';
import { truncation } from '../../onnx-weights.ts';
import { BrokenCheckpoint, quoted } from '../safetensors.ts';
import { GGUF_LIMITS, type GgufBudget, type HeaderBytes } from './header-bytes.ts';
import { nameFrom } from './metadata.ts';
import { type TensorType, tensorTypeOf } from './tensor-types.ts';

/** Longest entry: name, dimensions, type and offset. */
const AHEAD = 8 + GGUF_LIMITS.name + 4 + 8 * GGUF_LIMITS.rank + 4 + 8;
/** Least bytes of an entry. */
const LEAST_ENTRY = 8 + 4 + 4 + 8;
/** Tensors between two turns of the event loop: about 1 ms. */
const TENSORS_PER_TURN = 1024;

/** A tensor as the list states it. */
interface ListedTensor {
  readonly name: string;
  /** Row-major. */
  readonly shape: readonly number[];
  readonly type: TensorType;
  readonly bytes: number;
  /** Position in the section of the data. */
  readonly offset: number;
}

/**
 * Reads the list of tensors.
 * @throws BrokenCheckpoint for an entry that is damaged or beyond the limits
 */
export async function readTensorList(bytes: HeaderBytes, count: number, budget: GgufBudget): Promise<ListedTensor[]> {
  budget.tensors -= count;
  if (budget.tensors < 0) throw new BrokenCheckpoint(`exceeds the limit of ${GGUF_LIMITS.tensors} tensors for a model`);
  bytes.expect(count * LEAST_ENTRY);
  const tensors: ListedTensor[] = [];
  for (let at = 0; at < count; at++) {
    if (!bytes.has(AHEAD)) await bytes.ahead(AHEAD);
    tensors.push(tensorFrom(bytes));
    if (at % TENSORS_PER_TURN === TENSORS_PER_TURN - 1) await nextTurn();
  }
  return tensors;
}

function tensorFrom(bytes: HeaderBytes): ListedTensor {
  const name = nameFrom(bytes, 'the name of a tensor');
  const rank = bytes.uint32();
  if (rank > GGUF_LIMITS.rank)
    throw new BrokenCheckpoint(
      `is damaged: tensor ${quoted(name)} has ${rank} dimensions; at most ${GGUF_LIMITS.rank} are allowed`,
    );
  const shape = Array.from({ length: rank }, () => bytes.count()).reverse();
  const type = tensorTypeOf(bytes.uint32(), name);
  const offset = bytes.count();
  return { name, shape, type, bytes: bytesOf(name, shape, type), offset };
}

function bytesOf(name: string, shape: readonly number[], { name: type, block }: TensorType): number {
  const described = `is damaged: tensor ${quoted(name)} of ${type.toUpperCase()}[${shape.join(', ')}]`;
  const row = shape.at(-1) ?? 1;
  if (row % block.values !== 0)
    throw new BrokenCheckpoint(`${described} has rows that are no multiple of ${block.values}, the block of its type`);
  let elements = 1;
  for (const size of shape) {
    elements *= size;
    if (!Number.isSafeInteger(size) || !Number.isSafeInteger(elements * block.bytes))
      throw new BrokenCheckpoint(`${described} has more elements than a file`);
  }
  return (elements / block.values) * block.bytes;
}

/** The file of the tensors. */
export interface DataSection {
  /** The file's index in the places. */
  readonly index: number;
  /** Position of the data. */
  readonly start: number;
  /** Size of the file. */
  readonly size: number;
  readonly alignment: number;
}

/**
 * The places of the tensors by name, in the order of the list.
 * @throws BrokenCheckpoint for two tensors of the same name, and for places that do not follow one another
 */
export function placesOf(
  tensors: readonly ListedTensor[],
  { index, start, size, alignment }: DataSection,
): ReadonlyMap<string, StoredMatrix> {
  const places = new Map<string, StoredMatrix>();
  let [next, last] = [0, ''];
  for (const { name, offset, bytes } of [...tensors].sort((a, b) => a.offset - b.offset || a.bytes - b.bytes)) {
    if (offset < next) throw new BrokenCheckpoint(`is damaged: tensors ${quoted(last)} and ${quoted(name)} overlap`);
    if (offset > next)
      throw new BrokenCheckpoint(
        `is damaged: tensor ${quoted(name)} is at byte ${offset} of the data; its place is ${next}, with an alignment of ${alignment}`,
      );
    next = Math.ceil((offset + bytes) / alignment) * alignment;
    last = name;
    if (start + offset + bytes > size)
      throw new BrokenCheckpoint(truncation(size, endOf(tensors, start), 'the list of its tensors'));
  }
  for (const { name, offset, bytes, shape, type } of tensors) {
    if (places.has(name)) throw new BrokenCheckpoint(`is damaged: it has two tensors ${quoted(name)}`);
    const kind = 'type' in type ? { type: type.type } : { format: type.format };
    places.set(name, { file: index, offset: start + offset, bytes, ...kind, shape });
  }
  return places;
}

/** The size of a complete file. */
const endOf = (tensors: readonly ListedTensor[], start: number): number =>
  tensors.reduce((end, { offset, bytes }) => Math.max(end, start + offset + bytes), 0);
