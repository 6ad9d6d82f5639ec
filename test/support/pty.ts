/**
 * Runs the command line in a real terminal: `script` of util-linux opens a pseudo terminal, and xterm draws
 * its bytes, so a test reads the screen that a person sees.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import xterm from '@xterm/headless';
import { STATE_HOME } from './cli.ts';
import { track } from './processes.ts';
import { CLI } from './worker.ts';

export interface PtyOptions {
  readonly columns?: number;
  readonly rows?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** A shell command instead of the command line with `args`. `$CLI` runs the command line. */
  readonly shell?: string;
}

/** A ceiling for a machine under load. */
const CEILING_MS = Number(process.env['PTY_MS'] ?? 60_000);

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
const RUN = `${quoted(process.execPath)} ${quoted(CLI)}`;

export class PtySession {
  readonly terminal: xterm.Terminal;
  readonly process: ChildProcess;
  /** All bytes so far, as text. */
  raw = '';
  /** The screen after each drawing. */
  readonly frames: string[] = [];
  readonly exited: Promise<number | null>;
  readonly #waiting = new Set<() => void>();
  #device = '';

  constructor(args: readonly string[], options: PtyOptions = {}) {
    const { columns = 80, rows = 24, env, shell } = options;
    this.terminal = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true, scrollback: 1000 });
    const command = shell?.replaceAll('$CLI', RUN) ?? `exec ${RUN} ${args.map(quoted).join(' ')}`;
    const inner = `stty cols ${columns} rows ${rows}; echo "pty=$(tty)"; ${command}`;
    this.process = track(
      spawn('script', ['-qefc', inner, '/dev/null'], {
        env: {
          PATH: process.env['PATH'] ?? '',
          TERM: 'xterm-256color',
          SHELL: '/bin/sh',
          XDG_STATE_HOME: STATE_HOME,
          ...env,
        },
        stdio: ['pipe', 'pipe', 'inherit'],
      }),
    );
    this.process.stdout?.setEncoding('utf8').on('data', (text: string) => this.#take(text));
    this.exited = once(this.process, 'close').then(async ([code]) => {
      await this.#drawn();
      this.#notify();
      return code as number | null;
    });
  }

  /** The lines of the terminal, with those above the screen. */
  lines(): string[] {
    const buffer = this.terminal.buffer.active;
    const all = Array.from(
      { length: buffer.length },
      (_, row) => buffer.getLine(row)?.translateToString(true).trimEnd() ?? '',
    );
    while (all.at(-1) === '') all.pop();
    return all.filter((line) => !line.startsWith('pty='));
  }

  get text(): string {
    return this.lines().join('\n');
  }

  get isCursorVisible(): boolean {
    return this.raw.lastIndexOf('\x1b[?25l') <= this.raw.lastIndexOf('\x1b[?25h');
  }

  /** Types text. Ctrl-C is `\x03`, Ctrl-D `\x04`. */
  type(text: string): void {
    this.process.stdin?.write(text);
  }

  /** Changes the size of the terminal. */
  resize(columns: number, rows: number): void {
    this.terminal.resize(columns, rows);
    execFileSync('stty', ['-F', this.#device, 'cols', String(columns), 'rows', String(rows)]);
  }

  /** Resolves when the screen satisfies `test`. @throws Error if the command ends before, or after a minute */
  async until(test: (text: string) => boolean): Promise<void> {
    let reason: string | undefined;
    const stop = (why: string): void => {
      reason ??= why;
      this.#notify();
    };
    void this.exited.then(() => stop('The command ended before.'));
    const ceiling = setTimeout(() => stop('The screen did not appear.'), CEILING_MS);
    while (!test(this.text)) {
      if (reason !== undefined) throw new Error(`${reason} Screen:\n${this.text}`);
      await new Promise<void>((resolve) => {
        this.#waiting.add(resolve);
      });
    }
    clearTimeout(ceiling);
  }

  #take(text: string): void {
    this.raw += text;
    this.#device = /pty=(\S+)/.exec(this.raw)?.[1] ?? '';
    this.terminal.write(text, () => {
      this.frames.push(this.text);
      this.#notify();
    });
  }

  #drawn(): Promise<void> {
    return new Promise((resolve) => this.terminal.write('', resolve));
  }

  #notify(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}
