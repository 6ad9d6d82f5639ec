/** The limit of the address space (RLIMIT_AS, `ulimit -v`) in the text of /proc/self/limits. Pure. */

/** The limit in bytes; undefined if there is none. */
export function addressSpaceLimitIn(limits: string): number | undefined {
  const limit = /^Max address space +(\d{1,15}) /m.exec(limits)?.[1];
  return limit === undefined ? undefined : Number(limit);
}
