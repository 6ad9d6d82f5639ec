/**
 * The only writer to standard output, and the only importer of pino: one flat JSON line per narration.
 * A reader that stalls never blocks the event loop, and memory for unread lines is bounded. On standard error there is a word only when
 * lines could not be written to the very end.
 */
import { fstatSync } from 'node:fs';
import { isatty } from 'node:tty';
import pino from 'pino';
import { Backlog, fileTarget, streamTarget, type Target } from './backlog.ts';

const STDOUT = 1;

export type Level = 'TRACE' | 'DEBUG' | 'INFO' | 'WARN' | 'ERROR' | 'FATAL';
export type LogLevel = Lowercase<Level>;
export type LogFormat = 'json' | 'pretty';

/** A line before it is written: keys in the order in which they appear. */
export interface Line {
  readonly level: Level;
  readonly worker_id: string;
  readonly human: string;
  readonly [field: string]: string | number | undefined;
}

export interface Stdout {
  write(line: Line): void;
  /** Lines dropped since the last call, because nobody read or the disk is full; 0 as long as there is no room to tell of them. */
  takeLost(): number;
  /** Resolves when everything written so far has been handed to the operating system, or nobody reads any more: after a minute at most. */
  flush(): Promise<void>;
}

/** Opens standard output (or another stream, in tests) at a level and in a format. */
export function openStdout(options: { level: LogLevel; format: LogFormat }, stream?: NodeJS.WritableStream): Stdout {
  const backlog = new Backlog(stream ? streamTarget(stream) : standardOutput());
  const put = (line: string): void => backlog.push(line);
  const logger = pino({ level: options.level, base: null, ...CONTRACT_ORDER }, { write: put });
  const threshold = pino.levels.values[options.level] ?? 0;
  return {
    write(line) {
      const level = line.level.toLowerCase() as LogLevel;
      if (options.format === 'json') logger[level](line);
      else if ((pino.levels.values[level] ?? 0) >= threshold) put(pretty(line));
    },
    takeLost: () => backlog.takeLost(),
    flush: async () => {
      const missing = await backlog.flush();
      if (missing > 0)
        process.stderr.write(`rbees-workerd: ${missing} lines could not be written to standard output\n`);
    },
  };
}

/** Node's own stream gives up a file at the first error, and may leave half a line there. */
function standardOutput(): Target {
  const stat = fstatSync(STDOUT);
  const file = stat.isFile() || (stat.isCharacterDevice() && !isatty(STDOUT));
  return file ? fileTarget(STDOUT) : streamTarget(process.stdout);
}

/**
 * pino writes its level before its timestamp; the contract has them the other way round. So its own level is empty, the timestamp
 * is written without its leading comma, and the level comes first of the line's own fields.
 */
const CONTRACT_ORDER: Pick<pino.LoggerOptions, 'formatters' | 'timestamp'> = {
  formatters: { level: () => ({}) },
  timestamp: () => `"timestamp":"${new Date().toISOString()}"`,
};

function pretty(line: Line): string {
  return `[${new Date().toISOString().slice(0, 19)}Z] ${line.level} ${line.worker_id}: ${line.human}\n`;
}
