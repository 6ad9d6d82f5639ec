/**
 * The garbage collections that V8 does for an idle process, to give memory back. By default there are up to
 * three in a row, each as expensive as the first (docs/decisions/0022-cheap-workers.md).
 */
import { setFlagsFromString } from 'node:v8';

/** One collection after a start or a time of work. V8 writes an error for a flag that it does not know. */
export function collectOnceWhenIdle(version: string = process.versions.node): void {
  const major = Number.parseInt(version, 10);
  if (major >= 20 && major < 22) setFlagsFromString('--memory-reducer-single-gc');
  if (major >= 22 && major <= 24) setFlagsFromString('--memory-reducer-gc-count=1');
}
