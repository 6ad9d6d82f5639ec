/**
 * The time at which V8 collects garbage to give memory back: by default eight seconds after a process has
 * begun to fill its heap. If many workers start at once, that is in the middle of their start, and the
 * garbage of the rest of the start stays (docs/decisions/0022-cheap-workers.md).
 */
import { setFlagsFromString } from 'node:v8';

/** Longer than the start of fifty workers on two cores. */
export const COLLECT_AFTER_MS = 60_000;
/** V8 prints an error for a flag that it does not know. These versions of Node.js know this one. */
const MAJORS = { least: 20, most: 24 } as const;

/** Postpones the collection. Must be called before the first script: compiled code fits only equal flags. */
export function collectAfterStart(version: string = process.versions.node): void {
  const major = Number.parseInt(version, 10);
  if (major < MAJORS.least || major > MAJORS.most) return;
  setFlagsFromString(`--gc-memory-reducer-start-delay-ms=${COLLECT_AFTER_MS}`);
}
