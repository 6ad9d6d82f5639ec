/**
 * The progress of a download: one line that is redrawn on a terminal, a new line every ten seconds in a file
 * or a pipe. Writes only to the given stream.
 */
import { basename } from 'node:path';
import stringWidth from 'string-width';
import { formatBytes } from '../../narration/phrases.ts';
import { harmless, redactKnown } from '../../narration/sanitize.ts';
import { ERASE_LINE, LINE_START, type Terminal } from '../terminal.ts';
import { cutToColumns } from '../terminal-text.ts';

/** Maximum width of the bar and of the file name, in columns. A narrow terminal shows less of both. */
const BAR = 24;
const NAME = 28;
/** Minimum time between two drawings on a terminal, and between two lines elsewhere. */
const DRAW_MS = 100;
const LINE_MS = 10_000;
/** Time over which the speed is averaged. */
const WINDOW_MS = 5000;

export class ProgressBar {
  readonly #out: Terminal;
  readonly #now: () => number;
  #total = 0;
  /** Bytes of the files that are done. */
  #done = 0;
  #file = { path: '', size: 0, bytes: 0, since: 0 };
  /** Total bytes downloaded at points in time within the window, the oldest first. */
  #samples: { at: number; bytes: number }[] = [];
  #shownAt = 0;
  #drawn = false;

  constructor(out: Terminal, now: () => number = () => performance.now()) {
    this.#out = out;
    this.#now = now;
  }

  /** Writes one sentence on a separate line, without secrets. */
  say(sentence: string): void {
    this.#out.write(...(this.#drawn ? [LINE_START, ERASE_LINE] : []), redactKnown(harmless(sentence)), '\n');
    this.#drawn = false;
    this.#shownAt = Number.NEGATIVE_INFINITY;
  }

  /** Starts a download of `total` bytes in all files together. */
  begin(total: number): void {
    this.#total = total;
    this.#done = 0;
    this.#samples = [];
  }

  /** Starts the next file. */
  file(path: string, size: number): void {
    this.#file = { path, size, bytes: 0, since: this.#now() };
    this.#shownAt = this.#now();
  }

  /**
   * Reports that `bytes` of the file are on disk: fewer than before if the download of the file starts again.
   * @param fromBefore true if an earlier pull downloaded these bytes, which then do not count for the speed
   */
  at(bytes: number, fromBefore = false): void {
    const at = this.#now();
    const last = this.#samples.at(-1)?.bytes ?? 0;
    if (this.#samples.length === 0) this.#samples.push({ at, bytes: 0 });
    else if (!fromBefore) this.#samples.push({ at, bytes: last + Math.max(0, bytes - this.#file.bytes) });
    while (this.#samples.length > 2 && at - (this.#samples[1]?.at ?? at) > WINDOW_MS) this.#samples.shift();
    this.#file.bytes = bytes;
    if (at - this.#shownAt < (this.#out.isTTY ? DRAW_MS : LINE_MS)) return;
    this.#shownAt = at;
    if (this.#out.isTTY) this.#draw();
    else this.#out.write(`${harmless(this.#file.path)}: ${this.#facts()}\n`);
  }

  /** Reports that the file is complete. On a terminal, the line stays until the next file or the end. */
  fileDone(): void {
    const { path, size, since } = this.#file;
    this.#done += size;
    this.#file = { ...this.#file, size: 0, bytes: 0 };
    if (this.#out.isTTY) this.#draw();
    else this.#out.write(`${harmless(path)}: ${formatBytes(size)} in ${((this.#now() - since) / 1000).toFixed(1)} s\n`);
  }

  /** Ends the line on the terminal. The last drawing stays visible. */
  end(): void {
    if (this.#drawn) this.#out.write('\n');
    this.#drawn = false;
  }

  #draw(): void {
    const share = this.#total === 0 ? 1 : (this.#done + this.#file.bytes) / this.#total;
    const name = cutToColumns(harmless(basename(this.#file.path)), NAME);
    const facts = this.#facts();
    // A line that wraps cannot be redrawn, so one column stays free.
    const width = this.#out.columns - 1;
    const bar = Math.max(0, Math.min(BAR, width - stringWidth(name) - facts.length - 2));
    const full = Math.floor(share * bar);
    const line = `${name} ${'█'.repeat(full)}${'░'.repeat(bar - full)} ${facts}`;
    this.#out.write(LINE_START, cutToColumns(line, width), ERASE_LINE);
    this.#drawn = true;
  }

  #facts(): string {
    const present = this.#done + this.#file.bytes;
    const percent = Math.floor((100 * present) / Math.max(1, this.#total));
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    const speed = first && last && last.at > first.at ? (last.bytes - first.bytes) / ((last.at - first.at) / 1000) : 0;
    const speedText =
      speed > 0 ? `, ${formatBytes(speed)}/s, ${formatClock((this.#total - present) / speed)} left` : '';
    return `${percent} %, ${formatBytes(present)} of ${formatBytes(this.#total)}${speedText}`;
  }
}

/** `1:02:03` or `2:03`. */
function formatClock(seconds: number): string {
  const whole = Math.ceil(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (n: number): string => String(n).padStart(2, '0');
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}
