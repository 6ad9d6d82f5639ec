/**
 * The sequences that the running jobs need. A job with several outputs submits at most as many sequences at a
 * time as the engine has slots, and each further one when one of its own has ended. The engine does not know
 * the further ones, but they take the slots that the job frees. Every change costs the same, whatever the
 * number of jobs.
 */

/** Sums over the running jobs. */
export interface Demand {
  /**
   * Sequences that have a slot or are before a new job in the queue. Includes the sequences of a job whose
   * prompt is not ready yet.
   */
  readonly together: number;
  /** Slots beyond the first one of each job. */
  readonly extraSlots: number;
  /**
   * The least number of sequences of a job that are submitted later, behind a new job; 0 if there is no job.
   */
  readonly leastLater: number;
}

/** The sequences of one job. */
export class JobDemand {
  readonly #slots: number;
  /** Outputs that have not ended. */
  #outputs: number;
  #busy = 0;
  #changed: () => void = () => undefined;

  /**
   * @param outputs outputs of the job, at least 1
   * @param slots slots of the engine
   */
  constructor(outputs: number, slots: number) {
    this.#outputs = outputs;
    this.#slots = slots;
  }

  /** At least 1: a job occupies its place until it has ended. */
  get together(): number {
    return Math.max(1, Math.min(this.#outputs, this.#slots));
  }

  get later(): number {
    return Math.max(0, this.#outputs - this.#slots);
  }

  get extraSlots(): number {
    return Math.max(0, this.#busy - 1);
  }

  /** Calls `changed` after each change. Replaces the previous listener. */
  onChange(changed: () => void): void {
    this.#changed = changed;
  }

  /** Called when a sequence has got a slot. */
  started(): void {
    this.#busy += 1;
    this.#changed();
  }

  /** Called when an output has ended. */
  ended(hadSlot: boolean): void {
    this.#outputs -= 1;
    if (hadSlot) this.#busy -= 1;
    this.#changed();
  }
}

type Counted = Pick<JobDemand, 'together' | 'later' | 'extraSlots'>;

export class DemandCount {
  /** The state in which each job is counted. */
  readonly #counted = new Map<JobDemand, Counted>();
  #together = 0;
  #extraSlots = 0;
  /** Number of jobs for each number of sequences that they submit later. Few keys: a job has few outputs. */
  readonly #later = new Map<number, number>();

  /** The current sums. */
  get sum(): Demand {
    const leastLater = this.#later.size === 0 ? 0 : Math.min(...this.#later.keys());
    return { together: this.#together, extraSlots: this.#extraSlots, leastLater };
  }

  /** Counts a job until `remove`. */
  add(demand: JobDemand): void {
    demand.onChange(() => this.#update(demand));
    this.#update(demand);
  }

  remove(demand: JobDemand): void {
    demand.onChange(() => undefined);
    this.#discount(demand);
  }

  #update(demand: JobDemand): void {
    this.#discount(demand);
    const { together, later, extraSlots } = demand;
    const counted = { together, later, extraSlots };
    this.#counted.set(demand, counted);
    this.#add(counted, 1);
  }

  #discount(demand: JobDemand): void {
    const counted = this.#counted.get(demand);
    if (!counted) return;
    this.#counted.delete(demand);
    this.#add(counted, -1);
  }

  #add({ together, later, extraSlots }: Counted, sign: 1 | -1): void {
    this.#together += sign * together;
    this.#extraSlots += sign * extraSlots;
    const jobs = (this.#later.get(later) ?? 0) + sign;
    if (jobs === 0) this.#later.delete(later);
    else this.#later.set(later, jobs);
  }
}
