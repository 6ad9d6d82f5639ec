/**
 * Chooses the files of a GGUF model in a repository: the file or all files of its split set, and the
 * tokenizer and the chat template beside it. Decides by file names alone.
 */
import { posix } from 'node:path';
import type { DeviceName } from '../../../protocol/devices.ts';
import { isFloatTag } from '../../checkpoint/gguf/quantization-tag.ts';
import { type DtypeChoice, dtypeNamed, type FormatChoice, runsCheckpoints } from '../../dtypes.ts';
import { PullError } from '../pull-error.ts';
import { nameOf, nameWithoutRevision, selectsGguf } from '../reference.ts';
import type { Repository, RepositoryFile } from '../repository.ts';
import { chooseGguf, type GgufSet, ggufSets, NoGguf } from './file-sets.ts';

/** Files beside the model that take precedence over its metadata, if the repository has them. */
const TEMPLATES = ['chat_template.jinja', 'chat_template.json'] as const;
const TOKENIZER = 'tokenizer.json';
/** Files that belong to a tokenizer.json. */
const WITH_TOKENIZER = ['tokenizer_config.json', 'special_tokens_map.json', 'added_tokens.json'] as const;

/** The selection on the command line. */
interface GgufSelection {
  readonly dtype: DtypeChoice;
  readonly format: FormatChoice;
  readonly device: DeviceName;
}

/** The files, weights last, and the reason for them. */
interface ChosenGguf {
  readonly files: readonly RepositoryFile[];
  readonly dtype: DtypeChoice;
  readonly format: 'gguf';
  readonly why: string;
  /** Path of the first file in the repository. */
  readonly modelFile: string | undefined;
}

/** True if the selection is a GGUF model by its name or by `--format`. */
export const requestsGguf = ({ reference }: Repository, { format }: Pick<GgufSelection, 'format'>): boolean =>
  selectsGguf(reference) || format === 'gguf';

/** True if the folder of the reference has GGUF models. */
export const hasGguf = (byPath: ReadonlyMap<string, RepositoryFile>): boolean =>
  ggufSets([...byPath.keys()]).length > 0;

/**
 * @param byPath the files by their paths from the folder of the reference
 * @throws PullError if no file suits, with the tags and files of the repository
 */
export function chooseGgufFiles(
  { reference }: Repository,
  byPath: ReadonlyMap<string, RepositoryFile>,
  { dtype, format, device }: GgufSelection,
): ChosenGguf {
  const name = nameOf(reference);
  if (selectsGguf(reference) && format !== 'gguf' && format !== 'auto')
    throw new PullError(`${name} names a GGUF file: use --format gguf, or leave out --format ${format}.`);
  if (!runsCheckpoints(device))
    throw new PullError(`${name} is a GGUF model, which does not run on ${device}: use --device cpu, webgpu or cuda.`);
  const set = chosen({ reference }, byPath);
  const [first] = set.paths;
  if (set.paths.length < set.count)
    throw new PullError(`${name} has ${set.paths.length} of the ${set.count} files of ${first}: use another file.`);
  const problem = dtypeProblem(set, dtype);
  if (problem !== undefined) throw new PullError(`${first} ${problem}`);
  const folder = posix.dirname(first);
  const hasTokenizer = byPath.has(posix.join(folder, TOKENIZER));
  const names = hasTokenizer ? [TOKENIZER, ...WITH_TOKENIZER, ...TEMPLATES] : TEMPLATES;
  const beside = names.map((name) => posix.join(folder, name));
  const files = [...beside, ...set.paths].flatMap((path) => byPath.get(path) ?? []);
  const why = `${set.stem}.gguf${set.count > 1 ? ` in ${set.count} files` : ''}`;
  return { files, dtype, format: 'gguf', why, modelFile: byPath.get(first)?.path };
}

function chosen({ reference }: Pick<Repository, 'reference'>, byPath: ReadonlyMap<string, RepositoryFile>): GgufSet {
  try {
    return chooseGguf(ggufSets([...byPath.keys()]), reference);
  } catch (error) {
    if (!(error instanceof NoGguf)) throw error;
    const { tag: _tag, file: _file, ...place } = reference;
    throw new PullError(`${nameWithoutRevision(place)} ${error.message}.`);
  }
}

/** Why `--dtype` does not suit a file, by the quantization in its name. The worker checks its contents. */
function dtypeProblem({ tag }: GgufSet, choice: DtypeChoice): string | undefined {
  if (choice === 'auto' || tag === undefined || isFloatTag(tag)) return undefined;
  const label = tag.toLowerCase();
  return dtypeNamed(choice) === label
    ? undefined
    : `has the dtype ${label}, which --dtype ${choice} does not change: use --dtype auto, or the tag of another file.`;
}
