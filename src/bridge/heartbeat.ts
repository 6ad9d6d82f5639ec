/**
 * Detects an engine process that does not answer. The engine reads no messages during a step, so this class
 * measures the time without a message: every message of the engine is a heartbeat, and a silent engine gets a
 * ping. A short silence is a stall, which ends with the next message; a long one means that the engine hangs.
 * Knows nothing about processes or sequences.
 */
import type { StallThreshold } from './stall-threshold.ts';

/**
 * Longest interval of the pings to an idle engine. A ping and its answer wake an idle worker twice: once a
 * second on average.
 */
export const PING_MS = 2000;
/** A ping is sent after this part of the shorter limit: the engine has the rest of the time to answer. */
const PING_SHARE = 0.4;

/** The limits of the silence, and the receivers of its events. Times in milliseconds. */
export interface HeartbeatOptions {
  /** The silence after which the engine hangs. */
  readonly stepMs: number;
  /** The silence after which the engine is stalled. Absent: no stall is reported. */
  readonly threshold?: StallThreshold | undefined;
  readonly ping: () => void;
  /** Called once when the engine hangs. Nothing follows. */
  readonly onSilent: () => void;
  /** Called when the engine is stalled, with the age of its last message. */
  readonly onStalled?: (silenceMs: number) => void;
  /** Called at the first message after a stall, with the length of the silence. */
  readonly onRecovered?: (silenceMs: number) => void;
}

export class Heartbeat {
  readonly #options: HeartbeatOptions;
  readonly #everyMs: number;
  #timer: NodeJS.Timeout | undefined;
  #verdict: NodeJS.Immediate | undefined;
  /** Time until which the silence is counted. */
  #countedAt = performance.now();
  #plannedMs = 0;
  /** Milliseconds without a message, counted only while this process was running. */
  #silentMs = 0;
  #heardAt = this.#countedAt;
  /** True while a ping is unanswered: no second ping is sent. */
  #pinged = false;
  #stalled = false;
  #stopped = false;

  constructor(options: HeartbeatOptions) {
    const { stepMs, threshold } = options;
    this.#options = options;
    this.#everyMs = Math.min(PING_MS, PING_SHARE * Math.min(stepMs, threshold?.leastMs ?? stepMs));
    this.#plan();
  }

  /** Must be called for each message of the engine. */
  heard(): void {
    if (this.#stopped) return;
    const now = performance.now();
    const silenceMs = now - this.#heardAt;
    this.#heardAt = now;
    this.#countedAt = now;
    this.#silentMs = 0;
    this.#pinged = false;
    if (!this.#stalled) return;
    this.#stalled = false;
    this.#options.onRecovered?.(silenceMs);
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

  /** Plans the next tick: at the limit, or earlier for a ping. */
  #plan(): void {
    this.#plannedMs = Math.max(1, Math.min(this.#everyMs, this.#limitMs - this.#silentMs));
    this.#timer = setTimeout(() => this.#tick(), this.#plannedMs);
    this.#timer.unref();
  }

  #tick(): void {
    const now = performance.now();
    // A late tick counts as planned: this process was suspended or busy, and may have unread messages.
    this.#silentMs += Math.min(now - this.#countedAt, this.#plannedMs);
    this.#countedAt = now;
    if (this.#silentMs >= this.#limitMs) {
      // Messages that arrived during a suspension are read between the timers and this function.
      this.#verdict = setImmediate(() => this.#judge());
      return;
    }
    if (!this.#pinged) {
      this.#pinged = true;
      this.#options.ping();
    }
    this.#plan();
  }

  #judge(): void {
    const { stepMs, onSilent, onStalled } = this.#options;
    if (this.#silentMs >= stepMs) {
      this.stop();
      onSilent();
      return;
    }
    if (this.#silentMs >= this.#limitMs) {
      this.#stalled = true;
      onStalled?.(performance.now() - this.#heardAt);
    }
    this.#plan();
  }
}
