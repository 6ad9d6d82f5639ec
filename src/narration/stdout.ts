/**
 * The only writer to standard output, and the only importer of pino: one flat JSON line per narration.
 * A reader that stalls never blocks the event loop, and memory for unread lines is bounded.
 */
import pino from 'pino';

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

/** Unread output held in memory at most, about 40 000 lines; what comes beyond is dropped and counted. */
const MOST_PENDING_BYTES = 16 * 1024 * 1024;

export interface Stdout {
  write(line: Line): void;
  /** Lines dropped since the last call, because nobody read. */
  takeLost(): number;
  /** Resolves when everything written so far has been handed to the operating system, or nobody reads any more. */
  flush(): Promise<void>;
}

/** Opens standard output (or another stream, in tests) at a level and in a format. */
export function openStdout(
  options: { level: LogLevel; format: LogFormat },
  stream: NodeJS.WritableStream & { writableLength?: number } = process.stdout,
): Stdout {
  let lost = 0;
  let gone = false;
  stream.on('error', () => {
    gone = true; // the reader closed the pipe: the work goes on, only the lines have no listener
  });
  const put = (line: string): void => {
    if (gone) return;
    if ((stream.writableLength ?? 0) > MOST_PENDING_BYTES) lost += 1;
    else stream.write(line);
  };
  const logger = pino({ level: options.level, base: null, ...CONTRACT_ORDER }, { write: put });
  const threshold = pino.levels.values[options.level] ?? 0;
  return {
    write(line) {
      const level = line.level.toLowerCase() as LogLevel;
      if (options.format === 'json') logger[level](line);
      else if ((pino.levels.values[level] ?? 0) >= threshold) put(pretty(line));
    },
    takeLost() {
      const count = lost;
      lost = 0;
      return count;
    },
    flush: () => flushed(stream, () => gone),
  };
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

function flushed(stream: NodeJS.WritableStream, gone: () => boolean): Promise<void> {
  if (gone()) return Promise.resolve();
  return new Promise((resolve) => {
    stream.once('error', () => resolve());
    stream.write('', () => resolve());
  });
}
