/**
 * The only writer to standard output and the only importer of pino: one flat JSON line per narration. A
 * stalled reader never blocks the event loop, and the memory for unread lines is bounded. Standard error gets
 * one message, only if lines are still unwritten at the end.
 */
import { fstatSync } from 'node:fs';
import { isatty } from 'node:tty';
import pino from 'pino';
import { Backlog, fileTarget, IDLE_FLUSH_MS, LONGEST_FLUSH_MS, streamTarget, type Target } from './backlog.ts';
import { withReason } from './phrases.ts';

const STDOUT = 1;

export type Level = 'TRACE' | 'DEBUG' | 'INFO' | 'WARN' | 'ERROR' | 'FATAL';
export type LogLevel = Lowercase<Level>;
export type LogFormat = 'json' | 'pretty';

/** A line before it is written, with its keys in output order. */
export interface Line {
  readonly level: Level;
  readonly worker_id: string;
  readonly human: string;
  readonly [field: string]: string | number | undefined;
}

export interface Stdout {
  /** @param always true: also a line below the level of the log */
  write(line: Line, always?: boolean): void;
  /**
   * Lines dropped since the last call (slow reader or full disk); 0 while there is no room for a line that
   * reports them.
   */
  takeLost(): number;
  /** Lines dropped since the start. */
  readonly lostInAll: number;
  /**
   * Resolves when the operating system has all lines, or when the output stays blocked: after `ms`
   * milliseconds at most, by default a minute.
   */
  flush(ms?: number): Promise<void>;
}

/** Opens standard output with a level and a format. Tests pass another stream. */
export function openStdout(options: { level: LogLevel; format: LogFormat }, stream?: NodeJS.WritableStream): Stdout {
  const backlog = new Backlog(stream ? streamTarget(stream) : standardOutput());
  const put = (line: string): void => backlog.push(line);
  const logger = pino({ level: options.level, base: null, ...CONTRACT_ORDER }, { write: put });
  const unfiltered = logger.child({}, { level: 'trace' });
  const threshold = pino.levels.values[options.level] ?? 0;
  return {
    write(line, always = false) {
      const level = line.level.toLowerCase() as LogLevel;
      if (options.format === 'json') (always ? unfiltered : logger)[level](line);
      else if (always || (pino.levels.values[level] ?? 0) >= threshold) put(pretty(line));
    },
    takeLost: () => backlog.takeLost(),
    get lostInAll() {
      return backlog.lostInAll;
    },
    flush: async (ms = LONGEST_FLUSH_MS) => {
      const missing = await backlog.flush(IDLE_FLUSH_MS, Math.min(ms, LONGEST_FLUSH_MS));
      if (missing > 0)
        process.stderr.write(`rbees-workerd: ${missing} lines could not be written to standard output\n`);
    },
  };
}

/**
 * A file gets its own target: the stream of Node.js gives up at the first error and may leave half a line.
 */
function standardOutput(): Target {
  const stat = fstatSync(STDOUT);
  const file = stat.isFile() || (stat.isCharacterDevice() && !isatty(STDOUT));
  return file ? fileTarget(STDOUT) : streamTarget(process.stdout);
}

/**
 * pino writes its level before its timestamp; the contract wants the timestamp first. So pino's own level is
 * empty, the timestamp has no leading comma, and the level is the first field of the line itself.
 */
const CONTRACT_ORDER: Pick<pino.LoggerOptions, 'formatters' | 'timestamp'> = {
  formatters: { level: () => ({}) },
  timestamp: () => `"timestamp":"${new Date().toISOString()}"`,
};

/** A line for people: the sentence with its whole reason. */
function pretty(line: Line): string {
  const { level, worker_id, human, reason } = line;
  return `[${new Date().toISOString().slice(0, 19)}Z] ${level} ${worker_id}: ${withReason(human, reason)}\n`;
}
