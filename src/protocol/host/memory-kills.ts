/**
 * Tells a process that the kernel killed for lack of memory from one that an operator killed: both end by
 * SIGKILL, but the kernel counts its own kills for each control group (cgroups(7), Linux).
 */
import { controlGroups, type ReadText, readText } from './control-groups.ts';

/**
 * The files of a control group with the count, the most exact one first: version 2 without the groups below,
 * version 2, version 1.
 */
const COUNT_FILES = ['memory.events.local', 'memory.events', 'memory.oom_control'];
/** The count of the whole machine, for a system that does not show the groups of this process. */
const MACHINE_FILE = '/proc/vmstat';

/**
 * Counts the kills in the control group of this process, and so of its child processes. Another process of
 * the group can be the victim, so the count is compared with a recent one: call `look` every few seconds
 * while the watched process answers.
 */
export class MemoryKills {
  readonly #read: ReadText;
  readonly #file: string | undefined;
  /**
   * The count before the last one. The last one can already include the watched process: its answer may have
   * waited in the channel while it was killed.
   */
  #before: number | undefined;
  #last: number | undefined;

  /** @param read reads a file of the system; replaced by tests. */
  constructor(read: ReadText = readText) {
    this.#read = read;
    this.#file = fileWithCount(read);
    this.#last = this.#count();
    this.#before = this.#last;
  }

  /** Reads the count. */
  look(): void {
    this.#before = this.#last;
    this.#last = this.#count();
  }

  /** True if the kernel has killed a process since the look before the last one; false if that is unknown. */
  get happened(): boolean {
    const now = this.#count();
    return now !== undefined && this.#before !== undefined && now > this.#before;
  }

  #count(): number | undefined {
    return this.#file === undefined ? undefined : countIn(this.#read(this.#file));
  }
}

/**
 * The group whose memory the kernel limits is the lowest one with such a file: the own group can lack the
 * controller.
 */
function fileWithCount(read: ReadText): string | undefined {
  const files = controlGroups('memory', read).flatMap(({ folder }) => COUNT_FILES.map((name) => `${folder}/${name}`));
  return [...files, MACHINE_FILE].find((file) => countIn(read(file)) !== undefined);
}

function countIn(text: string): number | undefined {
  const count = /^oom_kill (\d{1,15})$/m.exec(text)?.[1];
  return count === undefined ? undefined : Number(count);
}
