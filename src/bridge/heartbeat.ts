/**
 * Detects an engine process that is silent. The engine sends no message during a step, so this class measures
 * the time without a message: every message of the engine is a heartbeat, and an idle engine says `alive` at
 * regular intervals. A short silence is a stall, which ends with the next message; a long one means that the
 * engine hangs. Knows nothing about processes or sequences.
 */
import type { StallThreshold } from './stall-threshold.ts';

/**
 * Longest interval in which the engine says `alive`. Each message wakes both processes of an idle worker
 * (docs/decisions/0022-cheap-workers.md).
 */
export const ALIVE_MS = 4000;
/** The interval is at most this part of the shorter limit: a message may be late by the rest of the time. */
const ALIVE_SHARE = 0.8;
/** A timer that is late by more than this was in a process that was suspended. */
const SUSPENSION_MS = 1000;

/** The limits of the silence, in milliseconds. */
export interface SilenceLimits {
  /** The silence after which the engine hangs. */
  readonly stepMs: number;
  /** The silence after which the engine is stalled. Absent: no stall is reported. */
  readonly threshold?: StallThreshold | undefined;
}

/** The limits of the silence, and the receivers of its events. */
export interface HeartbeatOptions extends SilenceLimits {
  /** Called once when the engine hangs. Nothing follows. */
  readonly onSilent: () => void;
  /** Called when the engine is stalled, with the age of its last message in milliseconds. */
  readonly onStalled?: (silenceMs: number) => void;
  /** Called at the first message after a stall, with the length of the silence in milliseconds. */
  readonly onRecovered?: (silenceMs: number) => void;
}

/** Milliseconds between two `alive` of an engine. */
export function aliveInterval({ stepMs, threshold }: SilenceLimits): number {
  return Math.min(ALIVE_MS, ALIVE_SHARE * Math.min(stepMs, threshold?.leastMs ?? stepMs));
}

export class Heartbeat {
  readonly #options: HeartbeatOptions;
  #timer: NodeJS.Timeout | undefined;
  /** Milliseconds from the start of the timer to its end. */
  #delayMs = 0;
  #verdict: NodeJS.Immediate | undefined;
  /** Time at which the timer must fire. */
  #dueAt = 0;
  #heardAt = performance.now();
  /** Milliseconds since the last message that are no silence: this process was not running. */
  #excusedMs = 0;
  #stalled = false;
  #stopped = false;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#plan(this.#limitMs);
  }

  /** Must be called for each message of the engine. */
  heard(): void {
    if (this.#stopped) return;
    const now = performance.now();
    const silenceMs = now - this.#heardAt;
    this.#heardAt = now;
    this.#excusedMs = 0;
    const wasStalled = this.#stalled;
    this.#stalled = false;
    // With another limit, the timer is not the one to start again.
    if (this.#delayMs === this.#limitMs) this.#start();
    else this.#plan(this.#limitMs);
    if (wasStalled) this.#options.onRecovered?.(silenceMs);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    clearImmediate(this.#verdict);
  }

  /** The silence that has a consequence next. */
  get #limitMs(): number {
    const { stepMs, threshold } = this.#options;
    return threshold === undefined || this.#stalled ? stepMs : Math.min(stepMs, threshold.ms);
  }

  /** Milliseconds without a message in which this process was running. */
  get #silentMs(): number {
    return performance.now() - this.#heardAt - this.#excusedMs;
  }

  #plan(ms: number): void {
    clearTimeout(this.#timer);
    this.#delayMs = Math.max(1, ms);
    this.#timer = setTimeout(() => this.#tick(), this.#delayMs).unref();
    this.#start();
  }

  /** Starts the timer again. A timer that is started again does not wake the process. */
  #start(): void {
    this.#dueAt = performance.now() + this.#delayMs;
    this.#timer?.refresh();
  }

  #tick(): void {
    this.#excuse(performance.now() - this.#dueAt);
    const leftMs = this.#limitMs - this.#silentMs;
    if (leftMs > 0) this.#plan(leftMs);
    // Messages that arrived during a suspension are read between the timers and this function.
    else this.#verdict = setImmediate(() => this.#judge());
  }

  /**
   * Takes the delay of a timer out of the silence. After a suspension, which may have included the engine,
   * the engine has one more interval. A timer can also be early, by a part of a millisecond.
   */
  #excuse(lateMs: number): void {
    const sinceMs = performance.now() - this.#heardAt;
    this.#excusedMs += Math.max(0, Math.min(lateMs, sinceMs));
    if (lateMs < SUSPENSION_MS) return;
    const mostMs = this.#limitMs - aliveInterval(this.#options);
    this.#excusedMs = Math.max(this.#excusedMs, sinceMs - mostMs);
  }

  #judge(): void {
    const { stepMs, onSilent, onStalled } = this.#options;
    const silentMs = this.#silentMs;
    if (silentMs >= stepMs) {
      this.stop();
      onSilent();
      return;
    }
    if (silentMs >= this.#limitMs) {
      this.#stalled = true;
      onStalled?.(performance.now() - this.#heardAt);
    }
    this.#plan(this.#limitMs - this.#silentMs);
  }
}
