/**
 * How many connections fit into the limit of open files. The worker keeps file descriptors for itself:
 * without any, it could neither start an engine nor read a file. Pure.
 */

/**
 * File descriptors that are not for connections with a place. A worker has 28 when it is idle; a thread for
 * texts takes 4, the start of an engine 8, and the places for probes 8. The rest is for connections that are
 * being closed.
 */
export const RESERVED_FILES = 64;
/** Share of the limit that is for connections in any case. A worker starts with 28 descriptors. */
const LEAST_SHARE = 1 / 4;

/**
 * The number of connections that the worker accepts at the same time.
 * @param asked the value of `--max-connections`
 * @param openFiles maximum number of open file descriptors of the process; undefined if it is not known
 */
export function connectionsWithin(asked: number, openFiles: number | undefined): number {
  if (openFiles === undefined) return asked;
  return Math.min(asked, Math.max(1, Math.floor(openFiles * LEAST_SHARE), openFiles - RESERVED_FILES));
}
