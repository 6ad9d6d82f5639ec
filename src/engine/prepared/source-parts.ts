/** The parts of the source files that a saved graph reads: a source can be much larger. Pure. */
import { join } from 'node:path';
import { externalTensors } from '../../onnx/saved/external-tensors.ts';
import type { FileParts } from '../load/read-ahead.ts';

/**
 * The parts of each source, in the order of `paths`.
 * @param folder the folder to which the places in the graph are relative
 * @param paths the sources
 */
export function sourceParts(graph: Uint8Array, folder: string, paths: readonly string[]): FileParts[] {
  const tensors = externalTensors(graph).map(({ location, offset, bytes }) => ({
    path: join(folder, Buffer.from(location, 'latin1').toString()),
    offset,
    bytes,
  }));
  return paths.map((path) => ({
    path,
    ranges: tensors.filter((tensor) => tensor.path === path).sort((one, other) => one.offset - other.offset),
  }));
}
