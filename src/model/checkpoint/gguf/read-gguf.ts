/**
 * Reads a GGUF model: one file, or all parts of a split one, as `llama-gguf-split` names them. Any part leads
 * to the whole model.
 */
import { join } from 'node:path';
import type { StoredMatrix } from '../../../protocol/decoder/decoder-spec.ts';
import { checkFile, type ModelProblem, unreadable } from '../../problems.ts';
import { BrokenCheckpoint, quoted } from '../safetensors.ts';
import type { GgufModel } from './gguf-file.ts';
import { namesOf } from './gguf-names.ts';
import { type GgufBudget, ggufBudget } from './header-bytes.ts';
import { type GgufFile, type GgufOpener, openerOf, readGgufFile } from './read-file.ts';
import { dtypeOf } from './tensor-types.ts';

/** Most problems of one model that are reported. */
const MAX_PROBLEMS = 8;

/**
 * Reads a model. Adds at most one problem for each file.
 * @param file name of a file in `root`
 * @param remote opens the files on a server; absent: in `root`
 * @returns undefined if the model has problems
 * @throws errors of `remote`
 */
export async function readGguf(
  root: string,
  file: string,
  problems: ModelProblem[],
  remote?: GgufOpener,
): Promise<GgufModel | undefined> {
  const faults: ModelProblem[] = [];
  const { files, index } = namesOf(file);
  const reader = new PartReader(root, faults, remote);
  const given = await reader.read(file, index);
  if (given === undefined) problems.push(...faults);
  if (given === undefined) return undefined;
  const count = given.metadata.get('split.count') ?? 1;
  const isWhole = count === 1 || count === 0;
  if (!isWhole && count !== files.length)
    faults.push({ file, problem: `is one of ${shown(count)} parts: name all parts as NAME-00001-of-0000N.gguf` });
  const names = isWhole ? [file] : files;
  const parts: GgufFile[] = [];
  for (const [at, name] of faults.length > 0 ? [] : names.entries()) {
    const isGiven = name === file && at === index;
    const part = isGiven ? given : await reader.read(name, at);
    if (part !== undefined) parts.push(part);
    if (faults.length >= MAX_PROBLEMS) break;
  }
  if (faults.length === 0 && !isWhole) checkParts(parts, names, faults);
  const model = faults.length === 0 ? modelOf(root, names, parts, faults) : undefined;
  problems.push(...faults);
  return model;
}

/** Reads single files within the limits of one model. */
class PartReader {
  readonly #root: string;
  readonly #problems: ModelProblem[];
  readonly #remote: GgufOpener | undefined;
  readonly #budget: GgufBudget = ggufBudget();

  constructor(root: string, problems: ModelProblem[], remote: GgufOpener | undefined) {
    this.#root = root;
    this.#problems = problems;
    this.#remote = remote;
  }

  async read(file: string, index: number): Promise<GgufFile | undefined> {
    const root = this.#root;
    const isLocal = this.#remote === undefined;
    if (isLocal && (await checkFile(root, file, this.#problems)) === undefined) return undefined;
    const open = this.#remote ?? openerOf(root);
    try {
      return await readGgufFile(await open(file), index, this.#budget);
    } catch (error) {
      if (!isLocal && !(error instanceof BrokenCheckpoint)) throw error;
      const problem = error instanceof BrokenCheckpoint ? error.message : unreadable(error);
      this.#problems.push({ file, problem });
      return undefined;
    }
  }
}

/** Checks that the parts are those of one model, in their order, and complete. */
function checkParts(parts: readonly GgufFile[], names: readonly string[], problems: ModelProblem[]): void {
  const total = parts.reduce((sum, { tensors }) => sum + tensors.size, 0);
  for (const [index, { metadata }] of parts.entries()) {
    const expected = { 'split.no': index, 'split.count': parts.length, 'split.tensors.count': total };
    for (const [key, value] of Object.entries(expected)) {
      const stated = metadata.get(key);
      if (stated === value || problems.length >= MAX_PROBLEMS) continue;
      const problem = `states ${shown(stated)} for "${key}", and the files have ${value}: download all parts again`;
      problems.push({ file: names[index] ?? '', problem });
      break;
    }
  }
}

const shown = (value: unknown): string =>
  value === undefined ? 'nothing' : typeof value === 'object' ? 'an array' : quoted(String(value));

function modelOf(
  root: string,
  names: readonly string[],
  parts: readonly GgufFile[],
  problems: ModelProblem[],
): GgufModel | undefined {
  const [first = '', metadata = new Map()] = [names[0], parts[0]?.metadata];
  const tensors = new Map<string, StoredMatrix>();
  const bytesByType = new Map<string, number>();
  for (const [index, part] of parts.entries()) {
    for (const [name, place] of part.tensors) {
      const other = tensors.get(name);
      if (other !== undefined && problems.length === 0)
        problems.push({
          file: names[index] ?? '',
          problem: `has tensor ${quoted(name)}, which ${names[other.file]} has too`,
        });
      tensors.set(name, place);
    }
    for (const [type, bytes] of part.bytesByType) bytesByType.set(type, (bytesByType.get(type) ?? 0) + bytes);
  }
  if (tensors.size === 0) problems.push({ file: first, problem: 'has no tensors: use another file' });
  if (problems.length > 0) return undefined;
  return {
    modelFile: join(root, first),
    files: parts.map(({ real }) => real),
    metadata,
    tensors,
    ropeFactors: new Map(parts.flatMap(({ ropeFactors }) => [...ropeFactors])),
    bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0),
    dtype: dtypeOf(metadata.get('general.file_type'), bytesByType),
  };
}
