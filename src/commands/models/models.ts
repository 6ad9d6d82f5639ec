/**
 * `rbees-workerd models`: the embedded model and those of the hub cache, with their formats, their size on
 * the disk, and the memory that they need.
 */
import { parseArgs } from 'node:util';
import { ConfigError, suggestionFor } from '../../config/config.ts';
import { hubCache, weightsFolder } from '../../config/network/hub-settings.ts';
import { formatBytes } from '../../narration/phrases.ts';
import { messageOf } from '../../protocol/text/error-message.ts';
import type { Command } from '../command.ts';
import { jsonText } from '../json-text.ts';
import { OutputError, Terminal } from '../terminal.ts';
import { type Column, shortTime, textTable } from '../text-table.ts';
import { type ModelRow, modelRows } from './model-rows.ts';
import { prune, savedLine } from './prune.ts';

const HELP = `rbees-workerd models [flags]

Lists the embedded model and the models in the hub cache.
Run one with: rbees-workerd serve --model <MODEL> [--dtype <type>]

  --json      print one JSON document
  --prune     remove saved weights that no worker of this version can use
  --dry-run   with --prune: only print what would be removed

  WEIGHTS    types of the ONNX weights, "safetensors bf16" for a checkpoint,
             "gguf q4_k_m", and the other formats of the repository
  DISK       size of the repository, or of the files of one GGUF model
  USED       time since a file of the repository was read or written
  MEMORY     estimate for the CPU: the weights that it takes by default (floats
             of a checkpoint 4 bytes each; workers share them), and the KV cache
             of one slot; the worker itself needs about 60 MB more
  FITS       yes: MEMORY is free now. "context 8192": with --context 8192.
             no: not even with a context of 512 tokens

Variables: HF_HUB_CACHE, folder of the cache (~/.cache/huggingface/hub);
RBEES_WEIGHTS_CACHE, folder of saved weights (beside it, rbees-workerd/weights).
Exit codes: 0 success; 1 the cache cannot be read; 2 wrong command line.
`;

export const modelsCommand: Command = { help: () => HELP, run };

async function run(args: readonly string[]): Promise<number> {
  const { json, prune: prunes, 'dry-run': dryRun } = readFlags(args);
  const cache = hubCache();
  const weights = weightsFolder(undefined);
  try {
    if (prunes) return await prune(weights, { json, dryRun });
    const rows = await modelRows(cache);
    await Terminal.stdout().print(json ? jsonText(rows) : page(rows, cache, savedLine(weights)));
    return 0;
  } catch (error) {
    if (error instanceof OutputError) throw error;
    await Terminal.stderr().print(`The cache ${cache} cannot be read: ${messageOf(error)}\n`);
    return 1;
  }
}

function readFlags(args: readonly string[]) {
  const flag = { type: 'boolean', default: false } as const;
  const options = { json: flag, prune: flag, 'dry-run': flag };
  try {
    const { values } = parseArgs({ args: [...args], options, strict: true });
    if (values['dry-run'] && !values.prune) throw new Error('--dry-run needs --prune');
    return values;
  } catch (error) {
    throw new ConfigError(`models: ${messageOf(error)}${suggestionFor(error, Object.keys(options))}`);
  }
}

const COLUMNS: readonly Column<ModelRow>[] = [
  { title: 'MODEL', cell: ({ name, source }) => (source === 'embedded' ? `${name} (embedded)` : name), most: 60 },
  { title: 'WEIGHTS', cell: weightsOf, most: 40 },
  { title: 'DISK', cell: ({ disk_bytes: bytes }) => (bytes === undefined ? '' : formatBytes(bytes)), right: true },
  { title: 'USED', cell: ({ last_used: time }) => (time === undefined ? '' : ageOf(time)), right: true },
  { title: 'MEMORY', cell: ({ memory }) => (memory ? formatBytes(memory.total_bytes) : ''), right: true },
  { title: 'FITS', cell: fitOf },
];

/** Without an .onnx file, `dtypes` has the type of the checkpoint or of the GGUF file. */
function weightsOf({ dtypes, formats, format }: ModelRow): string {
  if (formats.length === 1 && formats[0] === 'gguf') return ['gguf', ...dtypes].join(' ');
  if (format === 'safetensors') {
    const others = formats.filter((one) => one !== 'safetensors' && one !== 'onnx');
    return [`safetensors ${dtypes.join(', ')}`, ...others].join(', ');
  }
  const onnx = dtypes.length > 0 ? dtypes : formats.filter((one) => one === 'onnx');
  return [...onnx, ...formats.filter((one) => one !== 'onnx')].join(', ');
}

const ageOf = (time: string): string => `${shortTime((Date.now() - Date.parse(time)) / 1000)} ago`;

function fitOf({ memory, runnable }: ModelRow): string {
  if (!runnable) return 'cannot run';
  if (!memory) return 'unknown';
  if (memory.fits) return 'yes';
  return memory.fitting_context === undefined ? 'no' : `context ${memory.fitting_context}`;
}

function page(rows: readonly ModelRow[], cache: string, saved: readonly string[]): string {
  const notes = rows.flatMap(({ name, problem, incomplete_files: files, incomplete_bytes: bytes = 0 }) => [
    ...(problem === undefined ? [] : [`${name}: ${problem}`]),
    ...(files === undefined ? [] : [`${name}: ${formatBytes(bytes)} of an interrupted download; pull it again`]),
  ]);
  const empty = rows.length === 1 ? [`${cache} has no model: rbees-workerd pull <org/model> downloads one`] : [];
  const end = [...notes, ...empty, ...saved].map((note) => `${note}\n`).join('');
  return `${textTable(COLUMNS, rows)}${end === '' ? '' : `\n${end}`}`;
}
