/** The pool of deploy/slurm against wrong callbacks, and against a Slurm and targets that fail. */
import { once } from 'node:events';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { eventually } from '../../support/eventually.ts';
import { PlayedSlurm, TOKEN } from '../support/played-slurm.ts';
import { hasPrograms } from '../support/programs.ts';
import { type Haproxy, startHaproxy } from '../support/proxies.ts';

const RUNNING = '7 1 RUNNING 0 0 2030-01-01T00:00:00 None';
const ID = 'rbees-worker-7_1-r0';

describe.skipIf(process.platform !== 'linux')('the pool under Slurm', () => {
  let slurm: PlayedSlurm;
  let worker: Server;
  let notice: Readonly<Record<string, unknown>>;
  beforeEach(async () => {
    slurm = new PlayedSlurm();
    slurm.jobs(RUNNING);
    worker = createServer((_, response) => response.end()).listen(0, '127.0.0.1');
    await once(worker, 'listening');
    const url = `http://127.0.0.1:${(worker.address() as AddressInfo).port}`;
    notice = { worker_id: ID, instance_id: 'one', url, model: 'haiku' };
  });
  afterEach(async () => {
    await slurm.stop();
    worker.close();
    worker.closeAllConnections();
  });
  const send = (more: object = {}) => slurm.send(JSON.stringify({ ...notice, ...more }));
  const file = (name: string): string => join(slurm.folder, name);

  test('refuses callbacks that are not those of its workers, and goes on', async () => {
    await slurm.start('--count', '1');
    const valid = JSON.stringify(notice);
    for (const authorization of ['', 'Bearer', `Bearer ${TOKEN}x`, TOKEN, `Basic ${TOKEN}`])
      expect((await slurm.send(valid, { authorization })).status).toBe(401);
    for (const text of ['', '{', 'null', '[]', '"text"', '{}', `{"x":"${'x'.repeat(70_000)}"}`])
      expect([text.slice(0, 9), (await slurm.send(text)).status]).toEqual([text.slice(0, 9), 400]);
    for (const url of [
      'file:///etc/passwd',
      'https://127.0.0.1:1',
      'http://127.0.0.1',
      'http://[::1]:80',
      'x',
      7,
      null,
    ])
      expect([url, (await send({ url })).status]).toEqual([url, 400]);
    for (const field of ['worker_id', 'instance_id', 'model'])
      for (const value of [undefined, null, 7, {}, ['x'], 'x'.repeat(300)])
        expect([field, value, (await send({ [field]: value })).status]).toEqual([field, value, 400]);
    const names = ['other-7_1-r0', 'rbees-worker-7-r0', 'rbees-worker-7_1-r0;quit', 'rbees-worker-7_1-r0\n', '\n'];
    for (const worker_id of [...names, 'rbees-worker-7_1;disable server workers/w1-r0', `"rbees-worker-7_1-r0`])
      expect([worker_id, (await send({ worker_id })).status]).toEqual([worker_id, 410]);
    expect(await slurm.workers()).toEqual([]);
    expect((await send()).status).toBe(204);
    await eventually(async () => expect(await slurm.workers()).toMatchObject([{ worker_id: ID, state: 'ready' }]));
  });

  test('forgets a worker that Slurm does not know, and names it nowhere', async () => {
    await slurm.start('--count', '1', '--endpoints', 'endpoints.yaml', '--map', 'workers.map');
    for (const worker_id of ['rbees-worker-6_1-r0', 'rbees-worker-7_1-r1', `rbees-worker-7_${'9'.repeat(30)}-r0`]) {
      expect((await send({ worker_id })).status).toBe(204);
      await slurm.line('pool.worker_gone', (line) => line['worker_id'] === worker_id);
    }
    expect((await send()).status).toBe(204);
    await eventually(() => expect(readFileSync(file('workers.map'), 'utf8')).toBe(`${ID} w1\n`));
    expect(parse(readFileSync(file('endpoints.yaml'), 'utf8'))).toMatchObject({ endpoints: [{ name: ID }] });
  });

  test('writes any name of a model into the endpoints file as a text', async () => {
    const model = 'a"\n  - {"name":"x"} # \\ \u2028 \u0085 ä: {}';
    await slurm.start('--count', '1', '--endpoints', 'endpoints.yaml');
    await send({ model });
    const entry = { name: ID, address: '127.0.0.1', port: new URL(String(notice['url'])).port, labels: { model } };
    await eventually(() => expect(parse(readFileSync(file('endpoints.yaml'), 'utf8'))).toEqual({ endpoints: [entry] }));
  });

  test('keeps a worker that reports again with its routers', async () => {
    await slurm.start('--count', '1', '--map', 'workers.map');
    await send();
    await eventually(() => expect(readFileSync(file('workers.map'), 'utf8')).toBe(`${ID} w1\n`));
    for (let again = 0; again < 50; again += 1) {
      expect((await send()).status).toBe(204);
      expect(await slurm.workers()).toMatchObject([{ worker_id: ID, state: 'ready' }]);
    }
  });

  test('submits and requeues nothing while squeue prints other text, or fails', async () => {
    slurm.jobs('7 1 RUN', 'slurm_load_jobs error: Unable to contact slurm controller');
    await slurm.start('--count', '3');
    await slurm.line('pool.slurm_failed');
    slurm.jobs('7 1 FAILED 512 0 2030-01-01T00:00:00 NonZeroExitCode', 'Killed');
    await slurm.line('pool.slurm_failed', ({ message }) => String(message).includes('Killed'));
    expect(slurm.called).toEqual([]);
    slurm.jobs('8 N/A RUNNING 0 0 2030-01-01T00:00:00 a job of the same name');
    await slurm.line('pool.submitted');
    expect(slurm.called[0]).toMatch(/^sbatch .*--array=1,2,3 /);
  });

  test('drains the older one of two workers of a task', async () => {
    slurm.jobs(RUNNING);
    await slurm.start('--count', '1', '--map', 'workers.map');
    await send();
    await eventually(async () => expect(await slurm.workers()).toMatchObject([{ state: 'ready' }]));
    slurm.jobs(RUNNING, RUNNING.replace('7', '9'), RUNNING.replace('7', '8').replace('RUNNING', 'PENDING'));
    await eventually(() => expect(slurm.called).toContain('scancel --signal=TERM --batch 7_1'));
    expect(slurm.called).toContain('scancel 8_1');
    expect(slurm.called.filter((line) => line.includes('9_1'))).toEqual([]);
    expect(slurm.called.filter((line) => line.includes('TERM'))).toHaveLength(1);
  });

  test('drains a worker once, after the change of the routers, also while another one is silent', async () => {
    slurm.jobs(RUNNING, RUNNING.replace(' 1 ', ' 2 '));
    await slurm.start('--count', '2', '--endpoints', 'endpoints.yaml');
    await send();
    await eventually(() => expect(readFileSync(file('endpoints.yaml'), 'utf8')).toContain(ID));
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    onTestFinished(() => {
      silent.close();
      silent.closeAllConnections();
    });
    const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const asked = once(silent, 'request') as Promise<[IncomingMessage]>;
    await send({ worker_id: ID.replace('_1', '_2'), url });
    const [request] = await asked;
    await new Promise((resolve) => request.once('close', resolve));
    // The pool has given up, and changes the routers. The next change follows after the next wait for an answer.
    expect(await slurm.drain(1)).toBe(202);
    // The pool asks both workers for their states again and again. The drained one still answers that it is ready.
    for (let again = 0; again < 50; again += 1) expect(await slurm.drain(1)).toBe(409);
    await eventually(() => expect(slurm.called).toEqual(['scancel --signal=TERM --batch 7_1']));
    expect(readFileSync(file('endpoints.yaml'), 'utf8')).not.toContain(ID);
    expect(statSync(file('endpoints.yaml')).mtimeMs).toBeLessThan(statSync(file('called')).mtimeMs);
    await once(silent, 'request');
    expect(await slurm.drain(1)).toBe(409);
    expect(slurm.called.filter((line) => line.includes('TERM'))).toHaveLength(1);
  });

  test('names a wrong option, and starts nothing', async () => {
    for (const [name, value] of [
      ['count', ''],
      ['count', 'many'],
      ['poll', '-1'],
      ['name', 'a,b'],
      ['listen', '9100'],
      ['tokens', ''],
    ] as const)
      await expect(slurm.start(`--${name}=${value}`)).rejects.toThrow(`--${name} must be`);
    expect(slurm.called).toEqual([]);
  });

  describe.skipIf(!hasPrograms('haproxy'))('with HAProxy', () => {
    let haproxy: Haproxy;
    beforeEach(async () => {
      writeFileSync(file('workers.map'), '');
      haproxy = await startHaproxy([], { env: { WORKERS_MAP: file('workers.map') } });
    });
    afterEach(() => haproxy.stop());
    const targets = () => ['--map', file('workers.map'), '--haproxy', haproxy.socket];
    const serverOf = async (name: string): Promise<string | undefined> => {
      const rows = (await haproxy.tell('show servers state workers')).split('\n').map((row) => row.split(' '));
      const row = rows.find((cells) => cells[3] === name);
      return row && `${row[4]}:${row[18]}`;
    };

    test('serves HAProxy although the endpoints file cannot be written', async () => {
      await slurm.start('--count', '1', '--endpoints', file('missing/endpoints.yaml'), ...targets());
      await send();
      const address = String(notice['url']).replace('http://', '');
      await eventually(async () => expect(await serverOf('w1')).toBe(address));
      const map = file('workers.map');
      await eventually(async () => expect(await haproxy.tell(`show map ${map}`)).toContain(`${ID} w1`));
      const { message } = await slurm.line('pool.failed');
      expect(message).toContain('missing/endpoints.yaml');
    });

    test('fills all servers, and reports those that HAProxy lacks', async () => {
      const tasks = Array.from({ length: 65 }, (_, at) => at + 1);
      slurm.jobs(...tasks.map((task) => RUNNING.replace(' 1 ', ` ${task} `)));
      await slurm.start('--count', '65', ...targets());
      await Promise.all(tasks.map((task) => send({ worker_id: `rbees-worker-7_${task}-r0` })));
      const { message } = await slurm.line('pool.failed', (line) => String(line['message']).includes('w65'));
      expect(message).toBe('Backend workers of HAProxy has no servers w65.');
      const address = String(notice['url']).replace('http://', '');
      await eventually(async () => expect([await serverOf('w1'), await serverOf('w64')]).toEqual([address, address]));
    });
  });
});
