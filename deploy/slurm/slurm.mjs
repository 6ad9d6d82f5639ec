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
const ROW = /^(\d+) +(\d+) +([A-Z_]+) +(\d+) +(\d+) +(\S+) +(.*?) *$/;
/** A job outside of an array, which belongs to someone else. */
const SINGLE = /^\d+ +N\/A /;
/** Variables of a user that could hide jobs from squeue, or change the form of its times. */
const FILTERS = ['SQUEUE_ACCOUNT', 'SQUEUE_LICENSES', 'SQUEUE_PARTITION', 'SQUEUE_QOS', 'SQUEUE_USERS'];
const UNSET = [...FILTERS, 'SLURM_TIME_FORMAT'].flatMap((name) => ['-u', name]);
/** A line of `squeue` has 200 bytes. */
const LIMITS = { timeout: 20_000, killSignal: 'SIGKILL', maxBuffer: 2 ** 26 };

export class Slurm {
  #name;
  #onFailure;

  /** @param name name of the jobs; each array of this user with this name belongs to the pool */
  constructor(name, onFailure) {
    this.#name = name;
    this.#onFailure = onFailure;
  }

  /** The jobs. The last one with an index is a living one, and the newest of these. */
  async jobs() {
    const scope = ['--me', `--name=${this.#name}`, '--array', '--states=all'];
    const output = await this.#run('squeue', [...scope, '--noheader', `--Format=${COLUMNS}`]);
    const lines = output?.split('\n').filter((line) => line !== '' && !SINGLE.test(line));
    const strange = lines?.find((line) => !ROW.test(line));
    if (strange !== undefined) return this.#onFailure(`squeue printed "${strange.slice(0, 80)}".`);
    const jobs = lines?.map((line) => this.#jobOf(line));
    return jobs?.sort((a, b) => Number(b.finished) - Number(a.finished) || a.array - b.array);
  }

  #jobOf(line) {
    const [, array, index, state, code, restarts, start, reason] = ROW.exec(line);
    const id = `${array}_${index}`;
    return {
      ...{ id, array: Number(array), index: Number(index), worker_id: `${this.#name}-${id}-r${restarts}` },
      ...{ state, reason, finished: FINISHED.test(state), startedAt: Date.parse(start) },
      // Slurm reports the status of `wait`.
      ...{ exitCode: Number(code) >> 8, signal: Number(code) & 127 },
    };
  }

  /** Submits a script as an array of these indexes, with variables (`NAME=value`). Returns the id of the array. */
  async submit(script, indexes, { options, variables }) {
    const array = ['--parsable', `--job-name=${this.#name}`, `--array=${indexes.join(',')}`, '--export=ALL'];
    return (await this.#run('sbatch', [...array, ...options, script], variables))?.trim();
  }

  /** Starts a job again that has ended, or ends one that runs and starts it again. */
  requeue = (id) => this.#run('scontrol', ['requeue', id]);

  /** Takes away the two minutes for which Slurm holds a job after a requeue. */
  startNow = (id) => this.#run('scontrol', ['update', `jobid=${id}`, 'StartTime=now']);

  cancel = (id) => this.#run('scancel', [id]);

  /** Signals the worker alone (`--batch`), not its engine. The job runs until the worker ends. */
  signal = (id, name) => this.#run('scancel', [`--signal=${name}`, '--batch', id]);

  async #run(command, args, variables = []) {
    return await promisify(execFile)('env', [...UNSET, ...variables, command, ...args], LIMITS).then(
      ({ stdout }) => stdout,
      ({ killed, stderr, message }) =>
        this.#onFailure(killed ? `${command} did not answer.` : stderr.trim() || message),
    );
  }
}
