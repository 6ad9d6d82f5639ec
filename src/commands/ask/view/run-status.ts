/** The state of a run, from its events: for the line that changes, and for the line that stays. */
import type { StreamEvent } from '../../../contract/events.ts';
import { count, formatEta, formatMs } from '../../../narration/phrases.ts';

type Narration = Extract<StreamEvent, { type: 'narration' }>;
type End = Extract<StreamEvent, { type: 'end' }>;

/** Time of one bar of the speed, and number of bars. */
const BAR_MS = 250;
const BARS = 12;
const BAR_GLYPHS = '▁▂▃▄▅▆▇█';

export class RunStatus {
  readonly #now: () => number;
  readonly #startedAt: number;
  #phase = 'starting';
  /** Tokens so far: the pieces of the output, or the worker's count if that is higher. */
  #tokens = 0;
  #tokensPerSecond: number | undefined;
  /** Speeds of the last periods, and the start of the current one. */
  #bars: number[] = [];
  #barAt = 0;
  #barTokens = 0;
  #end: End | undefined;
  #cute: string | undefined;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#startedAt = now();
  }

  take(event: StreamEvent): void {
    if (event.type === 'started') this.#phase = 'reading the question';
    if (event.type === 'narration') this.#hear(event);
    if (event.type === 'token') this.#count();
    if (event.type === 'metrics') {
      this.#tokens = Math.max(this.#tokens, event.tokens_out);
      if (event.tokens_per_sec > 0) this.#tokensPerSecond = event.tokens_per_sec;
    }
    if (event.type === 'end') this.#end = event;
  }

  /** The parts of the line that changes, the most important first. */
  get current(): readonly string[] {
    this.#measure();
    const seconds = `${((this.#now() - this.#startedAt) / 1000).toFixed(1)} s`;
    if (this.#tokens === 0) return [this.#phase, seconds];
    const speed = this.#speed;
    const bars = this.#bars.length > 1 ? [sparkline(this.#bars)] : [];
    return [count(this.#tokens, 'token'), ...speed, ...bars, seconds];
  }

  /** The parts of the line that stays, the most important first. Empty before the event `end`. */
  get summary(): readonly string[] {
    const end = this.#end;
    if (!end) return [];
    const { stop_reason: reason } = end;
    // The picture of the last sentence: `🎉 Done! …`.
    const picture = /^\P{L}+?(?= )/u.exec(this.#cute ?? '')?.[0];
    return [
      `${picture === undefined ? '' : `${picture} `}${count(end.tokens_out, 'token')}`,
      ...this.#speed,
      `first after ${formatMs(end.time_to_first_token_ms)}`,
      `waited ${formatMs(end.queue_ms)}`,
      ...(reason === 'eos' ? [] : [`ended by ${reason}`]),
      `seed ${end.seed}`,
    ];
  }

  get #speed(): readonly string[] {
    const speed = this.#tokensPerSecond;
    return speed === undefined ? [] : [`${speed.toFixed(speed < 100 ? 1 : 0)} tokens/s`];
  }

  #hear({ event, cute, ...fields }: Narration): void {
    const position = numberIn(fields.queue_position);
    const [wait, done, total] = [fields.eta_ms, fields.tokens_done, fields.tokens_total].map(numberIn);
    if (position !== undefined) {
      this.#phase = `number ${position} in the queue${wait === undefined ? '' : `, ${formatEta(wait)} left`}`;
    } else if (done !== undefined && total !== undefined) {
      this.#phase = `reading the question: ${Math.floor((100 * done) / Math.max(1, total))} %`;
    } else if (event === 'inference.start') this.#phase = 'reading the question';
    this.#tokensPerSecond = numberIn(fields.tokens_per_sec) ?? this.#tokensPerSecond;
    if (event === 'inference.complete') this.#cute = cute;
  }

  #count(): void {
    if (this.#tokens === 0) [this.#barAt, this.#barTokens] = [this.#now(), 0];
    this.#tokens += 1;
    this.#measure();
  }

  /** Ends the current period of the speed if its time is over. */
  #measure(): void {
    if (this.#tokens === 0) return;
    const ms = this.#now() - this.#barAt;
    if (ms < BAR_MS) return;
    this.#bars = [...this.#bars, (this.#tokens - this.#barTokens) / ms].slice(-BARS);
    [this.#barAt, this.#barTokens] = [this.#now(), this.#tokens];
  }
}

/** A field of a narration, which other narrations lack. */
const numberIn = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined);

/** Bars from 0 to the highest value. */
function sparkline(values: readonly number[]): string {
  const highest = Math.max(...values, Number.MIN_VALUE);
  const last = BAR_GLYPHS.length - 1;
  return values.map((value) => BAR_GLYPHS[Math.round((last * Math.max(0, value)) / highest)] ?? '').join('');
}
