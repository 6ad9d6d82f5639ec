/**
 * Downloads and reads the files of a repository that name its weights: they must be read before the other
 * files can be chosen.
 */
import { join, posix } from 'node:path';
import { checkArchitecture } from '../../model/checkpoint/read-decoder.ts';
import { INDEX_FILE, readIndex } from '../../model/checkpoint/shards.ts';
import { MAX_JSON_BYTES } from '../../model/folder-files.ts';
import { type Choice, checkpointIndexOf, genaiConfigOf, type Selection } from '../../model/hub/choice.ts';
import { PullError } from '../../model/hub/pull-error.ts';
import type { RepositoryFile } from '../../model/hub/repository.ts';
import { ModelError, type ModelProblem } from '../../model/problems.ts';
import { graphFileOf } from '../../model/spec/genai.ts';
import { formatBytes } from '../../narration/phrases.ts';
import { fetchFiles, folderOf, type PullContext } from './fetch-files.ts';

/** Maximum size of genai_config.json. */
export const MAX_CONFIG_BYTES = 1024 * 1024;

/** The weight file that genai_config.json names, which may have any name. */
export async function decoderName(context: PullContext): Promise<string | undefined> {
  const file = genaiConfigOf(context.repository);
  if (file === undefined) return undefined;
  expectSize(file, MAX_CONFIG_BYTES);
  await fetchFiles(context, [file], 'genai_config.json first, because it names the weights');
  const problems: ModelProblem[] = [];
  const name = await graphFileOf(join(context.cache.snapshot(context.repository.commit), file.path), problems);
  if (problems.length > 0) throw new ModelError(folderOf(context), problems);
  return name;
}

/** The files that the index of the checkpoint names; undefined if the choice has no index. */
export async function shardNames(context: PullContext, selection: Selection): Promise<readonly string[] | undefined> {
  const file = checkpointIndexOf(context.repository, selection);
  if (file === undefined) return undefined;
  expectSize(file, MAX_JSON_BYTES);
  await fetchFiles(context, [file], 'the index first, because it names the weights');
  const problems: ModelProblem[] = [];
  const folder = folderOf(context);
  const shards = await readIndex(folder, INDEX_FILE, problems);
  if (shards === undefined) throw new ModelError(folder, problems);
  return [...new Set(shards.values())].sort();
}

/**
 * Downloads the configuration of a checkpoint and checks its architecture: the weights of a model that no
 * worker runs can have a terabyte. The graph of an ONNX file states its own architecture.
 * @throws ModelError for an architecture that no worker runs
 */
export async function expectArchitecture(context: PullContext, { files, format }: Choice): Promise<void> {
  const path = posix.join(context.repository.reference.folder, 'config.json');
  const file = files.find((one) => one.path === path);
  if (format !== 'safetensors' || file === undefined) return;
  expectSize(file, MAX_JSON_BYTES);
  await fetchFiles(context, [file], 'config.json first, because it states the architecture');
  await checkArchitecture(folderOf(context));
}

function expectSize({ path, size }: RepositoryFile, most: number): void {
  if (size > most) throw new PullError(`${path} is ${formatBytes(size)}; at most ${formatBytes(most)} is allowed.`);
}
