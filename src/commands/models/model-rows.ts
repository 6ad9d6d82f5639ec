/** The rows of `models`: the embedded model, then those of the cache, each with the memory that it needs. */
import { availableMemory } from 'node:process';
import { isGgufName } from '../../model/checkpoint/gguf/gguf-names.ts';
import { embeddedModel } from '../../model/folder.ts';
import { type CachedModel, readInventory, type WeightFormat } from '../../model/hub/inventory/inventory.ts';
import { locateModel, type ModelFiles } from '../../model/locate.ts';
import { readCacheShape } from '../../model/spec/cache-shape.ts';
import type { ChosenWeights } from '../../model/weights.ts';
import { messageOf } from '../../protocol/text/error-message.ts';
import { estimateMemory, type MemoryEstimate } from './memory-estimate.ts';

/** One model, as `--json` prints it. Sizes in bytes, times in ISO 8601. */
export interface ModelRow {
  readonly name: string;
  readonly source: 'embedded' | 'hub';
  /** The first file of a GGUF model. */
  readonly folder: string;
  readonly commit?: string | undefined;
  readonly formats: readonly WeightFormat[];
  /** Types of the ONNX weights; without these, the type of the checkpoint or of the GGUF file. */
  readonly dtypes: readonly string[];
  readonly runnable: boolean;
  readonly problem?: string | undefined;
  /** The files of a GGUF model; else the whole repository, which several revisions and folders share. */
  readonly disk_bytes?: number | undefined;
  readonly incomplete_files?: number | undefined;
  readonly incomplete_bytes?: number | undefined;
  readonly last_used?: string | undefined;
  readonly last_modified?: string | undefined;
  /** Type and format of the weights that the CPU takes by default. The estimate is for them. */
  readonly dtype?: string | undefined;
  readonly format?: WeightFormat | undefined;
  readonly memory?: EstimateRow | undefined;
  /** The command that runs the model, as arguments. */
  readonly command?: readonly string[] | undefined;
}

/** An estimate for one slot on the CPU. */
interface EstimateRow {
  readonly weights_bytes: number;
  readonly cache_bytes: number;
  readonly total_bytes: number;
  readonly context_length: number;
  readonly available_bytes: number;
  readonly fits: boolean;
  /** The longest context that fits, if that of the model does not. */
  readonly fitting_context?: number | undefined;
}

/** @throws errors of the file system for a cache that cannot be read */
export async function modelRows(cache: string): Promise<ModelRow[]> {
  const rows = [await embeddedRow()];
  for (const model of await readInventory(cache)) rows.push(await rowOf(model));
  return rows;
}

async function embeddedRow(): Promise<ModelRow> {
  const folder = embeddedModel();
  const row = { name: 'haiku', source: 'embedded', folder, formats: ['onnx'] } as const;
  try {
    return { ...row, ...(await runnable(await locateModel(folder), [])) };
  } catch (error) {
    return { ...row, dtypes: [], runnable: false, problem: messageOf(error) };
  }
}

async function rowOf(model: CachedModel): Promise<ModelRow> {
  const { name, folder, commit, formats, files, problem, repository, tag, bytes } = model;
  const dtypes = tag === undefined ? [] : [tag.toLowerCase()];
  const found = files ? await runnable(files, ['--model', name]) : { dtypes, runnable: false };
  return {
    ...{ name, source: 'hub', folder, commit, formats, ...found, problem },
    disk_bytes: bytes ?? repository?.bytes,
    ...(repository?.incomplete.files && {
      incomplete_files: repository.incomplete.files,
      incomplete_bytes: repository.incomplete.bytes,
    }),
    last_used: repository?.usedAt?.toISOString(),
    last_modified: repository?.modifiedAt?.toISOString(),
  };
}

/** @param flags the flags that select the model */
async function runnable(files: ModelFiles, flags: readonly string[]) {
  const [choice] = files.choices;
  const shape = await readCacheShape(files);
  const memory = choice && shape && estimateRow(estimateMemory(choice, shape, availableMemory()));
  const shorter = memory?.fitting_context === undefined ? [] : ['--context', String(memory.fitting_context)];
  const command = ['rbees-workerd', 'serve', ...flags, ...shorter];
  const format = choice === undefined ? 'onnx' : formatOf(choice);
  return { dtypes: files.dtypes, runnable: true, dtype: choice?.dtype, format, memory, command };
}

const formatOf = ({ modelFile, checkpoint }: ChosenWeights): WeightFormat => {
  if (isGgufName(modelFile)) return 'gguf';
  return checkpoint ? 'safetensors' : 'onnx';
};

const estimateRow = ({ weights, cache, total, context, available, fits, fittingContext }: MemoryEstimate) => ({
  weights_bytes: weights,
  cache_bytes: cache,
  total_bytes: total,
  context_length: context,
  available_bytes: available,
  fits,
  fitting_context: fittingContext,
});
