/**
 * Gives slots to waiting sequences, in order of the queue, and starts them. A sequence gets a slot if its
 * input and a first stretch of its output fit the memory. It then waits in its slot while another sequence
 * computes a prefix of its input, and copies that prefix.
 */
import type { CacheInput, KvCache } from './cache/kv-cache.ts';
import type { Sequence } from './sequence.ts';
import type { WaitingQueue } from './waiting-queue.ts';

/** After this many milliseconds, a step begins no further copy: the other sequences wait for the copies. */
const COPY_MS = 100;
/** A prefix of fewer ids is computed twice: a sequence does not wait for it. */
const MIN_SHARED = 32;
/** The last ids of an input are always computed, so no sequence waits for them. */
const LAST_IDS = 2;

/** Another sequence that computes the first `length` ids of an input. */
interface Leader {
  readonly sequence: Sequence;
  readonly length: number;
}

/** A sequence that has a slot and has not started. */
interface Reserved {
  readonly sequence: Sequence;
  /** Absent: there is none. */
  readonly leader: Leader | undefined;
}

interface AdmissionParts {
  readonly cache: KvCache;
  readonly queue: WaitingQueue;
  readonly now: () => number;
  /** Expected milliseconds to compute a number of tokens of an input. */
  readonly computeMs: (tokens: number) => number;
}

export class Admission {
  readonly #cache: KvCache;
  readonly #queue: WaitingQueue;
  readonly #now: () => number;
  readonly #computeMs: (tokens: number) => number;
  /** In order of arrival. */
  #reserved: Reserved[] = [];
  /** True if the first sequence of the queue waits for memory, and not for a slot. */
  #lacksMemory = false;

  constructor({ cache, queue, now, computeMs }: AdmissionParts) {
    this.#cache = cache;
    this.#queue = queue;
    this.#now = now;
    this.#computeMs = computeMs;
  }

  /** Number of slots that the next sequences of the queue get at once. */
  get free(): number {
    return this.#lacksMemory ? 0 : this.#cache.free;
  }

  /**
   * Moves waiting sequences to the running ones, as long as there are slots and memory. Starts the sequences
   * that wait for no other one.
   */
  admit(running: Sequence[]): void {
    this.#lacksMemory = false;
    this.#chooseLeadersAgain(running);
    for (let next = this.#queue.first; next; next = this.#queue.first) {
      this.#lacksMemory = !this.#fits(next, running);
      const slot = this.#lacksMemory ? undefined : this.#cache.take(inputOf(next));
      if (slot === undefined) break;
      this.#queue.removeFirst();
      next.slot = slot;
      this.#reserved.push({ sequence: next, leader: this.#leaderOf(next, running) });
      running.push(next);
    }
    if (this.#reserved.length > 0) this.#startReserved(running);
  }

  /** Called when sequences have ended: forgets those that have no slot any more. */
  settle(): void {
    this.#lacksMemory = false;
    this.#reserved = this.#reserved.filter(({ sequence }) => sequence.state === 'waiting');
  }

  /**
   * Takes the slots away from the sequences that wait in them for the input or the scores of this one,
   * because it is preempted. The caller queues them behind it. The ids in their slots stay.
   * @returns these sequences, in order of arrival
   */
  withdraw(original: Sequence): readonly Sequence[] {
    const followers: Sequence[] = [];
    for (const { sequence, leader } of this.#reserved) {
      const isLed = leader && (leader.sequence === original || followers.includes(leader.sequence));
      if (isLed || waitsForScores(sequence, original)) followers.push(sequence);
    }
    this.#reserved = this.#reserved.filter(({ sequence }) => !followers.includes(sequence));
    for (const follower of followers) {
      this.#cache.release(follower.slot);
      follower.slot = -1;
    }
    return followers;
  }

  /**
   * Chooses another leader for the followers of one that is paused, or has ended before it had computed their
   * prefix: the first of them becomes the leader of the others.
   */
  #chooseLeadersAgain(running: readonly Sequence[]): void {
    this.#reserved = this.#reserved.map((reserved) => {
      const { sequence, leader } = reserved;
      if (!leader || canLead(leader.sequence)) return reserved;
      if (leader.sequence.computed >= leader.length) return { sequence, leader: undefined };
      return { sequence, leader: this.#leaderOf(sequence, running.slice(0, running.indexOf(sequence))) };
    });
  }

  /** True if the memory suffices for the sequence beside the running ones. A lone sequence has all memory. */
  #fits(next: Sequence, running: readonly Sequence[]): boolean {
    const { budget } = this.#cache;
    if (running.length === 0) return true;
    // A row can hold more than its sequence needs: the memory of some devices is not given back in part.
    const held = ({ slot, state }: Sequence): number => (state === 'waiting' ? 0 : budget.held(slot));
    const needed = (one: Sequence): number => Math.max(budget.bytesFor(one.nextTokens), held(one));
    return [...running, next].reduce((sum, one) => sum + needed(one), 0) <= budget.bytes;
  }

  /** Starts the reserved sequences, except those that wait, and those for which this step has no time. */
  #startReserved(running: readonly Sequence[]): void {
    const until = this.#now() + COPY_MS;
    const held: Reserved[] = [];
    for (const one of this.#reserved) {
      const { sequence } = one;
      if (isWaiting(one, running) || this.#now() >= until) held.push(one);
      else this.#start(sequence, running.filter(({ state }) => state !== 'waiting').length);
    }
    this.#reserved = held;
  }

  /** @param others number of sequences that run at the same time */
  #start(sequence: Sequence, others: number): void {
    const began = this.#now();
    const begun = this.#cache.begin(sequence.slot, inputOf(sequence), sequence.nextTokens);
    const now = this.#now();
    const savedMs = Math.max(0, this.#computeMs(begun.cachedTokens) - (now - began));
    sequence.start({ ...begun, savedMs }, others, now);
  }

  /**
   * The earlier sequence that will compute the longest prefix of the input, if that prefix is longer than the
   * one that the cache has now. A later sequence never counts, so that no two wait for each other.
   */
  #leaderOf(next: Sequence, earlier: readonly Sequence[]): Leader | undefined {
    if (!this.#cache.copies || next.scoresPrompt) return undefined;
    const known = this.#cache.available(inputOf(next));
    let leader: Leader | undefined;
    for (const sequence of earlier) {
      if (!canLead(sequence) || saltOf(sequence) !== saltOf(next)) continue;
      const length = Math.min(common(sequence.input, next.input), next.input.length - LAST_IDS);
      const least = isCopyOf(next, sequence) ? 1 : MIN_SHARED;
      if (length >= Math.max(known + least, (leader?.length ?? 0) + 1)) leader = { sequence, length };
    }
    return leader;
  }
}

/** True while the input of a sequence that has a slot is not computed. */
const isComputing = ({ state, slot }: Sequence): boolean => slot >= 0 && (state === 'waiting' || state === 'prefill');

/** True if others wait for the input of this sequence. A paused one may take long. */
const canLead = (sequence: Sequence): boolean => isComputing(sequence) && !sequence.paused;

const saltOf = ({ request }: Sequence): string => request.cacheSalt ?? '';

const isCopyOf = (one: Sequence, other: Sequence): boolean => one.request.copyOf === other.request.id;

/** True if a sequence is a copy of one whose prompt is scored: the scores come before all outputs. */
const waitsForScores = (sequence: Sequence, original: Sequence): boolean =>
  original.scoresPrompt && isCopyOf(sequence, original) && !sequence.scoresPrompt;

/** True while another sequence computes a prefix, or the scores, that this one needs. */
function isWaiting({ sequence, leader }: Reserved, running: readonly Sequence[]): boolean {
  if (running.some((one) => isComputing(one) && waitsForScores(sequence, one))) return true;
  return leader !== undefined && canLead(leader.sequence) && leader.sequence.computed < leader.length;
}

/** The input of a sequence as the cache needs it. */
const inputOf = (sequence: Sequence): CacheInput => ({
  ids: sequence.input,
  salt: saltOf(sequence),
  whole: sequence.scoresPrompt,
  related: sequence.request.copyOf !== undefined,
});

/** Number of first ids that two inputs have in common. */
function common(one: readonly number[], other: readonly number[]): number {
  const most = Math.min(one.length, other.length);
  let count = 0;
  while (count < most && one[count] === other[count]) count += 1;
  return count;
}
