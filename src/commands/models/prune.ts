/** `rbees-workerd models --prune`: removes saved weights that no worker uses any more. */

import { removeSaved, type SavedEntry, savedWeights } from '../../model/saved/saved-weights.ts';
import { formatBytes } from '../../narration/phrases.ts';
import { messageOf } from '../../protocol/text/error-message.ts';
import { jsonText } from '../json-text.ts';
import { Terminal } from '../terminal.ts';

/** Flags of the command. */
export interface PruneFlags {
  readonly json: boolean;
  /** True: nothing is removed. */
  readonly dryRun: boolean;
}

/** One entry, as `--json` prints it. */
interface PrunedRow {
  readonly folder: string;
  readonly disk_bytes: number;
  readonly models: readonly string[];
  readonly reason: string;
  /** Why it could not be removed. */
  readonly problem?: string;
}

/** Prints the removed entries. @returns the exit code: 1 if an entry could not be removed */
export async function prune(folder: string | undefined, { json, dryRun }: PruneFlags): Promise<number> {
  const entries = folder === undefined ? [] : savedWeights(folder);
  const rows = entries.flatMap((entry) => (entry.stale === undefined ? [] : removed(entry, entry.stale, dryRun)));
  const kept = entries.filter(({ stale }) => stale === undefined);
  await Terminal.stdout().print(json ? jsonText(rows) : page(rows, kept, dryRun));
  return rows.some(({ problem }) => problem !== undefined) ? 1 : 0;
}

function removed(entry: SavedEntry, reason: string, dryRun: boolean): PrunedRow {
  const row = { folder: entry.path, disk_bytes: entry.bytes, models: entry.sources, reason };
  try {
    if (!dryRun) removeSaved(entry);
    return row;
  } catch (error) {
    return { ...row, problem: messageOf(error) };
  }
}

function page(rows: readonly PrunedRow[], kept: readonly SavedEntry[], dryRun: boolean): string {
  const lines = rows.map(({ folder, disk_bytes: bytes, reason, problem }) =>
    problem === undefined ? `${folder}: ${formatBytes(bytes)}, ${reason}` : `${folder}: not removed: ${problem}`,
  );
  const gone = rows.filter(({ problem }) => problem === undefined);
  const bytes = formatBytes(gone.reduce((sum, row) => sum + row.disk_bytes, 0));
  const verb = dryRun ? 'Would remove' : 'Removed';
  return [...lines, `${verb} ${gone.length} saved weights (${bytes}). ${keptText(kept)}`, ''].join('\n');
}

const keptText = (kept: readonly SavedEntry[]): string =>
  `${kept.length} in use by this version (${formatBytes(sizeOf(kept))}).`;

const sizeOf = (entries: readonly SavedEntry[]): number => entries.reduce((sum, { bytes }) => sum + bytes, 0);

/** The line about saved weights below the table of models; none without saved weights. */
export function savedLine(folder: string | undefined): string[] {
  const entries = folder === undefined ? [] : savedWeights(folder);
  if (entries.length === 0) return [];
  const stale = entries.filter((entry) => entry.stale !== undefined);
  const rest = stale.length === 0 ? '' : `; ${formatBytes(sizeOf(stale))} are stale: rbees-workerd models --prune`;
  return [`Saved weights in ${folder}: ${formatBytes(sizeOf(entries))}${rest}`];
}
