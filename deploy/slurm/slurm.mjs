/**
 * The commands of Slurm that a pool of workers needs. Each function returns undefined if Slurm does not
 * answer, and passes the reason to `onFailure`: the restart of a controller must not make a pool submit its
 * workers again.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const FINISHED = /^(?:COMPLETED|CANCELLED|FAILED|TIMEOUT|NODE_FAIL|OUT_OF_MEMORY|BOOT_FAIL|DEADLINE|PREEMPTED)$/;
/** The last column may contain spaces. */
const COLUMNS = 'ArrayJobID,ArrayTaskID,State,exit_code,RestartCnt,StartTime,Reason:64';

export class Slurm {
  #name;
  #onFailure;

  /** @param name name of the jobs; each job of this user with this name belongs to the pool */
  constructor(name, onFailure) {
    this.#name = name;
    this.#onFailure = onFailure;
  }

  /** The jobs by index of their array task: for each index a living one, or else the newest one. */
  async jobs() {
    const scope = ['--me', `--name=${this.#name}`, '--array', '--states=all'];
    const output = await this.#run('squeue', ...scope, '--noheader', `--Format=${COLUMNS}`);
    const jobs = output?.split('\n').filter(Boolean).map(jobOf);
    jobs?.sort((a, b) => Number(b.finished) - Number(a.finished) || a.array - b.array);
    return jobs && new Map(jobs.map((job) => [job.index, job]));
  }

  /** Submits a script as an array of these indexes. */
  submit(script, indexes, options) {
    const array = [`--job-name=${this.#name}`, `--array=${indexes.join(',')}`];
    return this.#run('sbatch', '--parsable', ...array, ...options, script);
  }

  /** Starts a job again that has ended, or ends one that runs and starts it again. */
  requeue = (id) => this.#run('scontrol', 'requeue', id);

  /** Takes away the two minutes for which Slurm holds a job after a requeue. */
  startNow = (id) => this.#run('scontrol', 'update', `jobid=${id}`, 'StartTime=now');

  cancel = (id) => this.#run('scancel', id);

  /** Signals the worker alone (`--batch`), not its engine. The job runs until the worker ends. */
  signal = (id, name) => this.#run('scancel', `--signal=${name}`, '--batch', id);

  async #run(command, ...args) {
    const run = promisify(execFile)(command, args);
    return await run.then(
      ({ stdout }) => stdout,
      ({ message }) => this.#onFailure(message.trim()),
    );
  }
}

function jobOf(line) {
  const [array, index, state, code, restarts, start, ...reason] = line.trim().split(/\s+/);
  return {
    id: `${array}_${index}`,
    array: Number(array),
    index: Number(index),
    state,
    finished: FINISHED.test(state),
    // Slurm reports the status of `wait`.
    exitCode: Number(code) >> 8,
    signal: Number(code) & 127,
    restarts: Number(restarts),
    startedAt: Date.parse(start),
    reason: reason.join(' '),
  };
}
