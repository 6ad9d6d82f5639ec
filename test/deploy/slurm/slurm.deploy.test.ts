/** A pool of three workers as an array of Slurm, with HAProxy in front of them: no stream is lost. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { eventually } from '../../support/eventually.ts';
import { hasPrograms } from '../support/programs.ts';
import { SlurmCluster } from '../support/slurm.ts';
import { type Member, type Output, SlurmPool, Stream } from '../support/slurm-pool.ts';

const PROGRAMS = ['slurmctld', 'slurmd', 'munged', 'sbatch', 'scontrol', 'scancel', 'squeue', 'haproxy'];
const WORKERS = 3;
const TOKENS = 450;
const SEEDS = Array.from({ length: 16 }, (_, at) => at + 1);
/** Time for which Slurm holds a job after a requeue. */
const SLURM_HOLD_S = 120;
/** On a machine under load, a start alone takes many seconds. */
const CEILING_MS = 400_000;

describe.skipIf(!hasPrograms(...PROGRAMS))('a pool of workers under Slurm', { timeout: CEILING_MS }, () => {
  let cluster: SlurmCluster;
  let pool: SlurmPool;
  let undisturbed: Output[];
  /** A task whose time limit is close. */
  let limited: string;
  const open = (seed: number): Stream => new Stream(pool.client, seed, TOKENS);
  const openAll = async (): Promise<Stream[]> => {
    const streams = SEEDS.map(open);
    await Promise.all(streams.map((stream) => stream.untilToken(0)));
    return streams;
  };
  const outputs = (streams: readonly Stream[]): Promise<Output[]> => Promise.all(streams.map(({ output }) => output));
  const untilReady = (count: number): Promise<void> =>
    eventually(async () => {
      const states = (await pool.members()).map(({ state }) => state);
      expect(states).toEqual(Array(count).fill('ready'));
    });
  /** The worker that runs a stream. */
  const workerOf = async (stream: Stream | undefined): Promise<Member> => {
    const member = (await pool.members()).find(({ worker_id }) => worker_id === stream?.workers[0]);
    if (!member) throw new Error('The worker is not in the table.');
    return member;
  };
  const pidOf = async ({ id }: Member): Promise<number> => {
    const startup = (await pool.log(id)).findLast(({ event }) => event === 'worker.startup');
    return Number(startup?.['pid']);
  };

  /** The workers that HAProxy reaches by their names. */
  const reached = async (): Promise<string[]> => {
    const names = (await pool.members()).map(({ worker_id }) => worker_id);
    const found = await Promise.all(names.map((name) => pool.reached(name)));
    return names.filter((name, at) => found[at] === name);
  };

  beforeAll(async () => {
    cluster = await SlurmCluster.start();
    pool = await SlurmPool.start(cluster, WORKERS);
    limited = await pool.submit('--job-name=limited', '--time=2', '--signal=B:TERM@60');
    await eventually(async () => expect(await reached()).toHaveLength(WORKERS));
    undisturbed = await outputs(SEEDS.map(open));
  }, CEILING_MS);
  afterAll(async () => {
    await pool?.stop();
    await cluster?.stop();
  }, CEILING_MS);

  /** Each stream has its end and every token once, and the text of a run without a loss. */
  function expectWhole(found: readonly Output[]): void {
    for (const { indexes, tokens } of found) {
      expect(indexes).toEqual([...indexes.keys()]);
      expect(tokens).toBe(TOKENS);
    }
    expect(found.map(({ text }) => text)).toEqual(undisturbed.map(({ text }) => text));
  }

  test('serves by all workers, and names them in the files of the routers', async () => {
    expectWhole(undisturbed);
    const members = await pool.members();
    const names = members.map(({ worker_id }) => worker_id).sort();
    expect([...new Set(undisturbed.flatMap(({ workers }) => workers))].sort()).toEqual(names);
    const { endpoints } = parse(await readFile(pool.endpoints, 'utf8')) as { endpoints: object[] };
    const rows = members.map(({ worker_id: name, url }) => {
      return { name, address: '127.0.0.1', port: new URL(url).port, labels: { model: 'haiku' } };
    });
    expect(endpoints).toEqual(rows);
    const map = members.map(({ worker_id, index }) => `${worker_id} w${index}\n`).join('');
    expect(await readFile(pool.map, 'utf8')).toBe(map);
    expect((await reached()).sort()).toEqual(names);
  });

  test('loses nothing when Slurm cancels a worker, and starts it again', async () => {
    const streams = await openAll();
    const victim = await workerOf(streams.at(-1));
    await cluster.run('scancel', victim.id);
    const readiness = (): Promise<number> =>
      fetch(`${victim.url}/ready`).then(
        ({ status }) => status,
        () => 503,
      );
    await eventually(async () => expect(await readiness()).toBe(503));
    const late = SEEDS.map(open);
    expectWhole(await outputs(streams));
    expectWhole(await outputs(late));
    // No stream had to move: the running ones ended there, and the late ones began elsewhere.
    expect(streams.every(({ workers }) => workers.length === 1)).toBe(true);
    expect(late.flatMap(({ workers }) => workers)).not.toContain(victim.worker_id);
    await pool.ready(victim.index, 1);
    const job = await cluster.job(victim.id);
    expect(job).toMatchObject({ state: 'RUNNING', restarts: 1 });
    expect(job.waited).toBeLessThan(SLURM_HOLD_S);
    const ended = ['worker.draining', 'server.shutdown'];
    const ends = (await pool.log(victim.id)).filter(({ event }) => ended.includes(event));
    expect(ends.map(({ event }) => event)).toEqual(ended);
    expect(ends[0]).toMatchObject({ reason: 'sigterm', worker_id: victim.worker_id });
    expect(Number(ends[0]?.['requests_running'])).toBeGreaterThan(0);
  });

  test('loses nothing when a worker is killed, and starts it again', async () => {
    const streams = await openAll();
    const victim = await workerOf(streams.at(-1));
    process.kill(await pidOf(victim), 'SIGKILL');
    const found = await outputs(streams);
    expectWhole(found);
    const moved = found.filter(({ workers }) => workers[0] === victim.worker_id && workers.length > 1);
    expect(moved.length).toBeGreaterThan(0);
    await pool.line('pool.worker_requeued', ({ job, signal }) => job === victim.id && signal === 9);
    await pool.ready(victim.index, victim.restarts + 1);
    const job = await cluster.job(victim.id);
    expect(job).toMatchObject({ state: 'RUNNING', restarts: victim.restarts + 1 });
    expect(job.waited).toBeLessThan(SLURM_HOLD_S);
  });

  test('replaces a worker on request, without a lost stream', async () => {
    await untilReady(WORKERS);
    const streams = await openAll();
    const victim = await workerOf(streams.at(-1));
    expect((await pool.drain(victim.index)).status).toBe(202);
    expectWhole(await outputs(streams));
    expect(streams.every(({ workers }) => workers.length === 1)).toBe(true);
    const { exit_code, job_state } = await pool.line(
      'pool.worker_requeued',
      ({ job, job_state }) => job === victim.id && job_state === 'COMPLETED',
    );
    expect([exit_code, job_state]).toEqual([0, 'COMPLETED']);
  });

  test('knows its workers again after its own end, and has fewer if it is started so', async () => {
    await untilReady(WORKERS);
    const before = await pool.members();
    await pool.restart(WORKERS - 1);
    const kept = before.filter(({ index }) => index < WORKERS).map(({ instance_id }) => instance_id);
    await eventually(async () => {
      const now = await pool.members();
      expect(now.map(({ instance_id }) => instance_id).sort()).toEqual(kept.sort());
    });
    expectWhole(await outputs(SEEDS.map(open)));
    expect(pool.lines.filter(({ event }) => event === 'pool.submitted')).toEqual([]);
  });

  test('replaces a worker that no longer answers', async () => {
    await pool.restart(WORKERS - 1, ['--dead-after', '3']);
    await untilReady(WORKERS - 1);
    const victim = (await pool.members())[0];
    if (!victim) throw new Error('The table is empty.');
    process.kill(await pidOf(victim), 'SIGSTOP');
    await pool.line('pool.worker_silent', ({ worker_id }) => worker_id === victim.worker_id);
    await pool.ready(victim.index, victim.restarts + 1);
  });

  test('does not start a worker again whose settings are wrong', async () => {
    await pool.restart(1, ['--name', 'wrong'], { RBEES_SLOTS: 'many' });
    const { job } = await pool.line('pool.worker_refused', ({ exit_code }) => exit_code === 2);
    expect(pool.lines.filter(({ event }) => event === 'pool.worker_requeued')).toEqual([]);
    expect(await cluster.job(String(job))).toMatchObject({ state: 'FAILED', exitCode: '2:0', restarts: 0 });
  });

  test('drains a worker before its time limit', async () => {
    const expected = { state: 'COMPLETED', exitCode: '0:0', restarts: 0 };
    await eventually(async () => expect(await cluster.job(limited)).toMatchObject(expected));
    expect((await pool.log(limited, 'limited')).at(-1)).toMatchObject({ event: 'server.shutdown', reason: 'sigterm' });
  });

  test('submits a task that Slurm has forgotten', async () => {
    await pool.kill();
    await cluster.run('scancel', '--name=rbees-worker');
    await cluster.forgetSoon();
    const known = () => cluster.run('squeue', '-h', '--name=rbees-worker', '--states=all');
    await eventually(async () => expect(await known()).toBe(''));
    await pool.restart(1);
    const { job } = await pool.line('pool.submitted', ({ tasks }) => String(tasks) === '1');
    const { worker_id } = await pool.ready(1, 0);
    expect(worker_id).toBe(`rbees-worker-${job}_1-r0`);
    await eventually(async () => expect(await reached()).toEqual([worker_id]));
  });
});
