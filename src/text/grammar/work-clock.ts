/** The clock of the budget of a compilation. */

/**
 * A clock in milliseconds that measures the work of this thread: the time on the wall or the processor time
 * of the process since now, the smaller one of both. Both are at least the processor time of the thread, so
 * a busy machine makes no schema too complex, and neither do other threads of an idle one.
 */
export function workClock(): () => number {
  const began = performance.now();
  const used = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(used);
    return Math.min(performance.now() - began, (user + system) / 1000);
  };
}
