/** The names of GGUF files: one file, or the parts of a split model. Pure. */
import { GGUF_LIMITS } from './header-bytes.ts';
import { tagIn } from './quantization-tag.ts';

const GGUF = /\.gguf$/i;
/** Name of a part: the name of the model, the number of the part from 1, and the number of all parts. */
const PART = /^(.+)-(\d{5})-of-(\d{5})\.gguf$/;
/** Projectors of images. */
const PROJECTOR = /(?:^|[-._])mmproj(?:[-._]|$)/i;
/** Matrices of importance, and models that were made with one: their names have a tag before the word. */
const IMATRIX = /(?:^|[-._])imatrix(?:[-._]|$)/i;

/** True for the name of a GGUF file, also of a projector. */
export const isGgufName = (file: string): boolean => GGUF.test(file);

/** True for the name of a GGUF file of a model of text. */
export function isGgufModelName(file: string): boolean {
  if (!isGgufName(file)) return false;
  const stem = ggufModelName(file);
  const at = stem.search(IMATRIX);
  return !PROJECTOR.test(stem) && (at < 0 || tagIn(stem.slice(0, at)) !== undefined);
}

interface Part {
  readonly name: string;
  /** From 1. */
  readonly number: number;
  readonly count: number;
}

function partOf(file: string): Part | undefined {
  const [, name, first, all] = PART.exec(file) ?? [];
  const [number, count] = [Number(first), Number(all)];
  const isPart = name !== undefined && number >= 1 && number <= count && count <= GGUF_LIMITS.files;
  return isPart ? { name, number, count } : undefined;
}

const partName = ({ name, count }: Part, number: number): string =>
  `${name}-${digits(number)}-of-${digits(count)}.gguf`;
const digits = (number: number): string => String(number).padStart(5, '0');

/** Name of a model: that of its file, without `.gguf` and without the number of the part. */
export const ggufModelName = (file: string): string => partOf(file)?.name ?? file.replace(GGUF, '');

/** The files of a model by the name of one of them. */
export interface GgufNames {
  /** All parts in order; one file if the name is not that of a part. */
  readonly files: readonly string[];
  /** Index of the given file in `files`. */
  readonly index: number;
}

/** @param file name of a file, without a folder */
export function namesOf(file: string): GgufNames {
  const part = partOf(file);
  if (part === undefined) return { files: [file], index: 0 };
  const files = Array.from({ length: part.count }, (_, index) => partName(part, index + 1));
  return { files, index: part.number - 1 };
}

/**
 * The models among the files of a folder: one file of each, the first one of a split model if it is there.
 * Sorted.
 */
export function ggufModelsAmong(names: readonly string[]): string[] {
  const models = new Map<string, string>();
  for (const name of names.filter(isGgufModelName).sort()) {
    const part = partOf(name);
    const first = part === undefined ? name : partName(part, 1);
    if (!models.has(first)) models.set(first, name);
  }
  return [...models.values()];
}
