/** The pool of deploy/slurm with played commands of Slurm: for faults that a real Slurm has seldom. */
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { kill, track } from '../../support/processes.ts';
import type { LogLine } from '../../support/worker.ts';

const POOL = fileURLToPath(new URL('../../../deploy/slurm/pool.mjs', import.meta.url));
export const TOKEN = 'the-callback-token';
const BEARER = { Authorization: `Bearer ${TOKEN}` };

export interface Answer {
  readonly status: number;
  readonly text: string;
}

export class PlayedSlurm {
  readonly folder = mkdtempSync(join(tmpdir(), 'played-slurm-'));
  readonly lines: LogLine[] = [];
  readonly #arrived = new EventEmitter();
  #pool: ReturnType<typeof spawn> | undefined;
  #url = '';

  constructor() {
    const bin = join(this.folder, 'bin');
    mkdirSync(bin);
    const play = (name: string, script: string): void => {
      writeFileSync(join(bin, name), `#!/bin/sh\ncd "${this.folder}"\n${script}\n`);
      chmodSync(join(bin, name), 0o755);
    };
    play('squeue', 'cat jobs');
    for (const name of ['sbatch', 'scontrol', 'scancel']) play(name, `echo "${name} $*" >> called\necho 7`);
    this.jobs();
    writeFileSync(join(this.folder, 'tokens.env'), `RBEES_CALLBACK_TOKEN=${TOKEN}\n`);
  }

  /** The rows that `squeue` prints from now on. */
  jobs(...rows: readonly string[]): void {
    writeFileSync(join(this.folder, 'jobs'), rows.map((row) => `${row}\n`).join(''));
  }

  /** The commands that the pool has called, but squeue. */
  get called(): string[] {
    const file = join(this.folder, 'called');
    return existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : [];
  }

  async start(...options: readonly string[]): Promise<void> {
    const args = [POOL, '--listen', '127.0.0.1:0', '--tokens', 'tokens.env', '--poll', '0.1', ...options];
    const env = { PATH: `${join(this.folder, 'bin')}:${process.env['PATH']}` };
    const pool = track(spawn(process.execPath, args, { cwd: this.folder, env, stdio: ['ignore', 'pipe', 'pipe'] }));
    this.#pool = pool;
    let stderr = '';
    pool.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    createInterface({ input: pool.stdout }).on('line', (text) => {
      this.lines.push(JSON.parse(text) as LogLine);
      this.#arrived.emit('line');
    });
    const ended = once(pool, 'close').then(() => Promise.reject(new Error(stderr)));
    ended.catch(() => undefined);
    this.#url = String((await Promise.race([this.line('pool.listening'), ended]))['url']);
  }

  /** The first line of `event` that satisfies `fits`, now or later. */
  async line(event: string, fits: (line: LogLine) => boolean = () => true): Promise<LogLine> {
    for (;;) {
      const found = this.lines.find((line) => line.event === event && fits(line));
      if (found) return found;
      await once(this.#arrived, 'line');
    }
  }

  /** Sends a text as a callback. */
  send(text: string, headers: Readonly<Record<string, string>> = BEARER): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const sent = request(`${this.#url}/ready`, { method: 'POST', headers }, (response) => {
        let answer = '';
        response.setEncoding('utf8').on('data', (part: string) => {
          answer += part;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text: answer }));
      });
      sent.on('error', reject).end(text);
    });
  }

  async workers(): Promise<readonly Readonly<Record<string, unknown>>[]> {
    return (await (await fetch(`${this.#url}/endpoints`, { headers: BEARER })).json()) as never;
  }

  /** Asks for a drain of the worker of a task. Returns the status of the answer. */
  async drain(task: number): Promise<number> {
    return (await fetch(`${this.#url}/drain/${task}`, { method: 'POST', headers: BEARER })).status;
  }

  async stop(): Promise<void> {
    if (this.#pool) await kill(this.#pool);
    rmSync(this.folder, { recursive: true, force: true });
  }
}
