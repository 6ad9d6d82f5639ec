/**
 * How far a download is, for eyes: on a terminal one line that is drawn anew, in a file or pipe a line now and then. Writes to the stream
 * that it is given and nowhere else.
 */
import { basename } from 'node:path';

/** Columns of the bar and of the file's name at most; a narrow terminal has less of both. */
const BAR = 24;
const NAME = 28;
/** On a terminal the line is drawn this often at most, elsewhere a line is written. */
const DRAW_MS = 100;
const LINE_MS = 10_000;
/** The speed shown is that of the last seconds. */
const WINDOW_MS = 5000;

export class ProgressBar {
  readonly #out: NodeJS.WriteStream;
  readonly #now: () => number;
  #total = 0;
  /** Bytes of the files that are done. */
  #done = 0;
  #file = { path: '', size: 0, bytes: 0, since: 0 };
  /** When how many bytes had come over the wire, the oldest of the window first. */
  #came: { at: number; bytes: number }[] = [];
  #shownAt = 0;
  #drawn = false;

  constructor(out: NodeJS.WriteStream, now: () => number = () => performance.now()) {
    this.#out = out;
    this.#now = now;
  }

  /** One sentence of its own line. */
  say(sentence: string): void {
    this.#out.write(`${this.#drawn ? '\r\x1b[K' : ''}${sentence}\n`);
    this.#drawn = false;
    this.#shownAt = Number.NEGATIVE_INFINITY;
  }

  /** So many bytes are to be there in the end. */
  begin(total: number): void {
    this.#total = total;
    this.#done = 0;
    this.#came = [];
  }

  /** The next file; `bytes` of it are there from an earlier time. */
  file(path: string, size: number): void {
    this.#file = { path, size, bytes: 0, since: this.#now() };
    this.#shownAt = this.#now();
  }

  /** So many bytes of the file are there; fewer than before where it has to begin again. `fromBefore`: they were not downloaded now. */
  at(bytes: number, fromBefore = false): void {
    const at = this.#now();
    const last = this.#came.at(-1)?.bytes ?? 0;
    if (this.#came.length === 0) this.#came.push({ at, bytes: 0 });
    else if (!fromBefore) this.#came.push({ at, bytes: last + Math.max(0, bytes - this.#file.bytes) });
    while (this.#came.length > 2 && at - (this.#came[1]?.at ?? at) > WINDOW_MS) this.#came.shift();
    this.#file.bytes = bytes;
    if (at - this.#shownAt < (this.#out.isTTY ? DRAW_MS : LINE_MS)) return;
    this.#shownAt = at;
    if (this.#out.isTTY) this.#draw();
    else this.#out.write(`${this.#file.path}: ${this.#facts()}\n`);
  }

  /** The file is there. On a terminal the line stays until the next one or the end. */
  fileDone(): void {
    const { path, size, since } = this.#file;
    this.#done += size;
    this.#file = { ...this.#file, size: 0, bytes: 0 };
    if (this.#out.isTTY) this.#draw();
    else this.#out.write(`${path}: ${formatBytes(size)} in ${((this.#now() - since) / 1000).toFixed(1)} s\n`);
  }

  /** Leaves the terminal's line as it was last drawn. */
  end(): void {
    if (this.#drawn) this.#out.write('\n');
    this.#drawn = false;
  }

  #draw(): void {
    const share = this.#total === 0 ? 1 : (this.#done + this.#file.bytes) / this.#total;
    const name = basename(this.#file.path).slice(0, NAME);
    const facts = this.#facts();
    // A line that wraps could not be drawn over; every character of it is one column wide.
    const room = (this.#out.columns || 80) - 1;
    const bar = Math.max(0, Math.min(BAR, room - name.length - facts.length - 2));
    const full = Math.floor(share * bar);
    const line = `${name} ${'█'.repeat(full)}${'░'.repeat(bar - full)} ${facts}`;
    this.#out.write(`\r${line.slice(0, room)}\x1b[K`);
    this.#drawn = true;
  }

  #facts(): string {
    const have = this.#done + this.#file.bytes;
    const percent = Math.floor((100 * have) / Math.max(1, this.#total));
    const [first, last] = [this.#came[0], this.#came.at(-1)];
    const speed = first && last && last.at > first.at ? (last.bytes - first.bytes) / ((last.at - first.at) / 1000) : 0;
    const pace = speed > 0 ? `, ${formatBytes(speed)}/s, ${inTime((this.#total - have) / speed)} left` : '';
    return `${percent} %, ${formatBytes(have)} of ${formatBytes(this.#total)}${pace}`;
  }
}

/** Three digits and a unit of 1000s. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
  const value = bytes / 1000 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(value >= 10 ? 1 : 2)} ${units[power]}`;
}

function inTime(seconds: number): string {
  const whole = Math.ceil(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (n: number): string => String(n).padStart(2, '0');
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}
