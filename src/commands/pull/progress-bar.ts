/**
 * Shows the progress of a download: one line redrawn in place on a terminal, a line every ten seconds in a
 * file or pipe. Writes only to the given stream.
 */
import { basename } from 'node:path';

/** Largest widths of the bar and of the file name, in columns. A narrow terminal gets less of both. */
const MAX_BAR = 24;
const MAX_NAME = 28;
/** Shortest interval between two draws on a terminal, and between two lines elsewhere. */
const DRAW_MS = 100;
const WRITE_MS = 10_000;
/** The displayed speed is the average of this period. */
const SPEED_WINDOW_MS = 5000;

export class ProgressBar {
  readonly #out: NodeJS.WriteStream;
  readonly #now: () => number;
  #total = 0;
  /** Bytes of the finished files. */
  #done = 0;
  #file = { path: '', size: 0, bytes: 0, since: 0 };
  /** Bytes received from the network at points in time, oldest first. */
  #samples: { at: number; bytes: number }[] = [];
  #shownAt = 0;
  #drawn = false;

  constructor(out: NodeJS.WriteStream, now: () => number = () => performance.now()) {
    this.#out = out;
    this.#now = now;
  }

  /** Writes a sentence on a line of its own. */
  writeLine(sentence: string): void {
    this.#out.write(`${this.#drawn ? '\r\x1b[K' : ''}${sentence}\n`);
    this.#drawn = false;
    this.#shownAt = Number.NEGATIVE_INFINITY;
  }

  /** Starts a download of this many bytes. */
  start(total: number): void {
    this.#total = total;
    this.#done = 0;
    this.#samples = [];
  }

  /** Starts the next file. */
  startFile(path: string, size: number): void {
    this.#file = { path, size, bytes: 0, since: this.#now() };
    this.#shownAt = this.#now();
  }

  /**
   * Reports the bytes of the file that are on the disk; fewer than before if the file starts over.
   * `fromBefore`: an earlier pull downloaded them.
   */
  update(bytes: number, fromBefore = false): void {
    const at = this.#now();
    const last = this.#samples.at(-1)?.bytes ?? 0;
    if (this.#samples.length === 0) this.#samples.push({ at, bytes: 0 });
    else if (!fromBefore) this.#samples.push({ at, bytes: last + Math.max(0, bytes - this.#file.bytes) });
    while (this.#samples.length > 2 && at - (this.#samples[1]?.at ?? at) > SPEED_WINDOW_MS) this.#samples.shift();
    this.#file.bytes = bytes;
    if (at - this.#shownAt < (this.#out.isTTY ? DRAW_MS : WRITE_MS)) return;
    this.#shownAt = at;
    if (this.#out.isTTY) this.#draw();
    else this.#out.write(`${this.#file.path}: ${this.#facts()}\n`);
  }

  /** Finishes the file. On a terminal the line stays until the next one or the end. */
  finishFile(): void {
    const { path, size, since } = this.#file;
    this.#done += size;
    this.#file = { ...this.#file, size: 0, bytes: 0 };
    if (this.#out.isTTY) this.#draw();
    else this.#out.write(`${path}: ${formatBytes(size)} in ${((this.#now() - since) / 1000).toFixed(1)} s\n`);
  }

  /** Ends the terminal's line as it was last drawn. */
  end(): void {
    if (this.#drawn) this.#out.write('\n');
    this.#drawn = false;
  }

  #draw(): void {
    const share = this.#total === 0 ? 1 : (this.#done + this.#file.bytes) / this.#total;
    const name = basename(this.#file.path).slice(0, MAX_NAME);
    const facts = this.#facts();
    // A wrapped line could not be redrawn. Every character of the line is one column wide.
    const columns = (this.#out.columns || 80) - 1;
    const bar = Math.max(0, Math.min(MAX_BAR, columns - name.length - facts.length - 2));
    const full = Math.floor(share * bar);
    const line = `${name} ${'█'.repeat(full)}${'░'.repeat(bar - full)} ${facts}`;
    this.#out.write(`\r${line.slice(0, columns)}\x1b[K`);
    this.#drawn = true;
  }

  #facts(): string {
    const present = this.#done + this.#file.bytes;
    const percent = Math.floor((100 * present) / Math.max(1, this.#total));
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    const speed = first && last && last.at > first.at ? (last.bytes - first.bytes) / ((last.at - first.at) / 1000) : 0;
    const rate = speed > 0 ? `, ${formatBytes(speed)}/s, ${formatDuration((this.#total - present) / speed)} left` : '';
    return `${percent} %, ${formatBytes(present)} of ${formatBytes(this.#total)}${rate}`;
  }
}

/** Three digits and a unit of 1000s. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
  const value = bytes / 1000 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(value >= 10 ? 1 : 2)} ${units[power]}`;
}

function formatDuration(seconds: number): string {
  const whole = Math.ceil(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (n: number): string => String(n).padStart(2, '0');
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}
