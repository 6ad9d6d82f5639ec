/**
 * The load of the machine, and the processor time of the engine, for the search of causes of a slow
 * generation. Linux only: the figures come from /proc/pressure/cpu (PSI) and /proc/<pid>/stat. One reading,
 * about 50 µs, serves all requests.
 */
import { readFileSync } from 'node:fs';

/** Milliseconds of one clock tick of /proc/<pid>/stat: USER_HZ is 100 on every Linux system. */
const TICK_MS = 10;
/** Fields of /proc/<pid>/stat behind the name of the process: user time and system time in ticks. */
const USER_TIME = 11;
const SYSTEM_TIME = 12;

/** Counters at one moment. Only the differences of two samples have a meaning. Times in milliseconds. */
export interface MachineSample {
  /** On the clock of performance.now(). */
  readonly at: number;
  /** Time in which at least one task of the machine waited for a processor. */
  readonly pressureMs: number;
  /** Id of the engine process. */
  readonly pid: number;
  /** Processor time that the engine process has used. */
  readonly engineMs: number;
}

/** Reads from the system; replaced by tests. */
export interface MachineReader {
  /** Reads a file, or throws. */
  readonly text: (path: string) => string;
  readonly now: () => number;
}

const SYSTEM: MachineReader = {
  text: (path) => readFileSync(path, 'utf8'),
  now: () => performance.now(),
};

export class MachineLoad {
  readonly #enginePid: () => number | undefined;
  readonly #reader: MachineReader;
  #sample: MachineSample | undefined;
  /** Time of the last reading, also of one that failed. */
  #readAt = Number.NEGATIVE_INFINITY;

  /** @param enginePid the id of the engine process; undefined while there is none */
  constructor(enginePid: () => number | undefined, reader: MachineReader = SYSTEM) {
    this.#enginePid = enginePid;
    this.#reader = reader;
  }

  /**
   * A sample of at most the given age. Undefined if the system does not have the figures. Never throws.
   * @param maxAgeMs milliseconds
   */
  sample(maxAgeMs: number): MachineSample | undefined {
    const now = this.#reader.now();
    if (now - this.#readAt >= maxAgeMs) {
      this.#sample = this.#read(now);
      this.#readAt = now;
    }
    return this.#sample;
  }

  #read(at: number): MachineSample | undefined {
    const pid = this.#enginePid();
    if (pid === undefined) return undefined;
    try {
      const pressureMs = pressureIn(this.#reader.text('/proc/pressure/cpu'));
      const engineMs = processorTimeIn(this.#reader.text(`/proc/${pid}/stat`));
      return pressureMs === undefined || engineMs === undefined ? undefined : { at, pressureMs, pid, engineMs };
    } catch {
      return undefined; // another system, a kernel without PSI, or an engine that has ended
    }
  }
}

/** The line `some avg10=0.48 avg60=3.61 avg300=2.37 total=10541637`; its total is in microseconds. */
function pressureIn(text: string): number | undefined {
  const total = /^some .*\btotal=(\d{1,18})$/m.exec(text)?.[1];
  return total === undefined ? undefined : Number(total) / 1000;
}

/** The name of the process is in parentheses, and may contain spaces and parentheses. */
function processorTimeIn(text: string): number | undefined {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[USER_TIME]) + Number(fields[SYSTEM_TIME]);
  return Number.isFinite(ticks) ? ticks * TICK_MS : undefined;
}
