/** deploy/haproxy/haproxy.cfg in front of three real workers. */
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { enginePid } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { longJob } from '../support/listener.ts';
import { startWorker } from '../support/worker.ts';
import { testDoor, testJobs, testLosses, testSmuggling, testStreams, testUnprivileged } from './support/behaviour.ts';
import { arrivalOf } from './support/pieces.ts';
import { hasPrograms } from './support/programs.ts';
import { type Haproxy, startHaproxy, stateOf } from './support/proxies.ts';
import { AUTHORIZED, listen, openScene, readOn, TOKEN, WORKER_CONNECTIONS, workerOf } from './support/scene.ts';
import { executeOverHttp2, writeIdentity } from './support/secure.ts';

const env = { WORKER_CONNECTIONS };
const FILE = 'deploy/haproxy/haproxy.cfg';

describe.skipIf(!hasPrograms('haproxy'))('HAProxy with the file of deploy/', () => {
  let files: string;
  let proxy: Haproxy;
  const scene = openScene(async (workers) => {
    proxy = await startHaproxy(workers, { env });
    return proxy;
  });
  beforeAll(() => {
    files = mkdtempSync(join(tmpdir(), 'haproxy-files-'));
    writeIdentity(join(files, 'identity.pem'));
    writeFileSync(join(files, 'tokens'), 'token-of-anna anna\ntoken-of-ben ben\n');
  });
  afterAll(() => rmSync(files, { recursive: true }));

  test('accepts the file, with and without HTTPS and client tokens', () => {
    const more = { TLS_PEM: join(files, 'identity.pem'), DOOR_TOKENS: join(files, 'tokens'), WORKER_TOKEN: TOKEN };
    const fleet = {
      WORKERS_MAP: join(files, 'tokens'),
      PEER: 'a',
      PEER_LISTEN: ':1',
      OTHER_PEER: 'b',
      OTHER_LISTEN: ':2',
    };
    for (const set of [{}, more, fleet]) {
      const options = { encoding: 'utf8', env: { PATH: process.env['PATH'], ...set } } as const;
      const { status, stderr } = spawnSync('haproxy', ['-c', '-f', FILE], options);
      expect([status, stderr]).toEqual([0, '']);
    }
  });

  testStreams(scene);

  test('without option http-no-delay, a stream arrives in a few pieces', async () => {
    const change = (text: string) => text.replace('    option http-no-delay\n', '');
    const slow = await startHaproxy(scene.workers, { env, change });
    const { pieces, restMs, text } = await arrivalOf(slow.url, longJob(randomUUID()), AUTHORIZED);
    expect(text).toContain('event: end');
    // The kernel waits for 200 ms for more data.
    expect(pieces).toBeLessThan(restMs / 150 + 10);
    await slow.stop();
  });

  testDoor(scene);
  testSmuggling(scene);
  testUnprivileged((workers, options) => startHaproxy(workers, { env, ...options }), scene);

  test('HTTPS with HTTP/2, and a token for each client, which no worker gets', async () => {
    const more = { TLS_PEM: join(files, 'identity.pem'), DOOR_TOKENS: join(files, 'tokens'), WORKER_TOKEN: TOKEN };
    const door = await startHaproxy(scene.workers, { env: { ...env, ...more } });
    const job = () => longJob(randomUUID(), { min_tokens: 20, max_tokens: 20 });
    const ben = { authorization: 'Bearer token-of-ben', forwarded: 'for=1.2.3.4' };
    const answer = await executeOverHttp2(door.tlsUrl, job(), ben);
    expect(answer).toMatchObject({ status: 200, protocol: 'h2', text: expect.stringContaining('event: end') });
    await eventually(() => expect(door.lines()).toContainEqual(expect.objectContaining({ user: 'ben', status: 200 })));
    const anna = await fetch(`${door.url}/v1/models`, { headers: { 'X-Api-Key': 'token-of-anna' } });
    expect(anna.status).toBe(200);
    for (const headers of [{}, AUTHORIZED, { 'X-Api-Key': 'token-of' }] as Record<string, string>[]) {
      const refused = await fetch(`${door.url}/v1/models`, { headers });
      expect([refused.status, await refused.json()]).toEqual([
        401,
        { error: expect.objectContaining({ code: 'UNAUTHORIZED', retry: 'never' }) },
      ]);
    }
    await door.stop();
  });

  test('a reader that returns reaches a worker that HAProxy has taken out', async () => {
    const jobId = randomUUID();
    const stream = await listen(scene, longJob(jobId, { on_disconnect: 'continue' }));
    await stream.untilToken(3);
    const slot = `w${scene.workers.indexOf(await workerOf(scene, stream)) + 1}`;
    await proxy.tell(`set server workers/${slot} state maint`);
    expect(await stateOf(proxy.tell, slot)).toBe('MAINT');
    stream.leave();
    const rest = await readOn(scene, jobId, stream.events.at(-1)?.id ?? '');
    expect(rest.status).toBe(200);
    expect(await rest.text()).toContain('event: end');
    await proxy.use(scene.workers);
  });

  test('two of them share the table of jobs, and a restart knows the workers of before', async () => {
    const first = { PEER: 'first', PEER_LISTEN: `127.0.0.1:${await freePort()}` };
    const second = { PEER: 'second', PEER_LISTEN: `127.0.0.1:${await freePort()}` };
    const withOther = (own: typeof first, { PEER, PEER_LISTEN }: typeof first) => ({
      env: { ...env, ...own, OTHER_PEER: PEER, OTHER_LISTEN: PEER_LISTEN },
    });
    const one = await startHaproxy(scene.workers, withOther(first, second));
    const other = await startHaproxy(scene.workers, withOther(second, first));
    const jobs = scene.workers.map(() => randomUUID());
    const streams = await Promise.all(
      jobs.map((job) => listen({ ...scene, proxy: one }, longJob(job, { on_disconnect: 'continue' }))),
    );
    await Promise.all(streams.map((stream) => stream.untilToken(3)));
    for (const stream of streams) stream.leave();
    await eventually(async () => expect(await other.tell('show table workers')).toContain('used:3'));
    const state = join(files, 'state');
    writeFileSync(state, await other.tell('show servers state'));
    await other.stop();
    const { env: variables } = withOther(second, first);
    const again = await startHaproxy([], { env: { ...variables, WORKERS_STATE: state } });
    await eventually(async () => expect(await again.tell('show table workers')).toContain('used:3'));
    for (const [index, jobId] of jobs.entries()) {
      const rest = await readOn({ ...scene, proxy: again }, jobId, streams[index]?.events.at(-1)?.id ?? '');
      expect([rest.status, (await rest.text()).includes('event: end')]).toEqual([200, true]);
    }
    await again.stop();
    await one.stop();
  });

  test('a stream without events lives by the heartbeats of its worker, and ends with them', async () => {
    const worker = await startWorker({ args: ['--sse-heartbeat', '1', '--worker-id', 'first'] });
    const patient = await startHaproxy([worker], { env: { ...env, STREAM_SILENCE: '3s' } });
    const alone = { proxy: patient, workers: [worker] };
    const engine = enginePid(worker);
    const stream = await fetch(`${patient.url}/execute`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(longJob(randomUUID())),
    });
    process.kill(engine, 'SIGSTOP');
    let text = '';
    const reader = stream.body?.pipeThrough(new TextDecoderStream()).getReader();
    const read = async (until: () => boolean): Promise<void> => {
      while (!until()) {
        const part = await reader?.read();
        if (part?.done !== false) return;
        text += part.value;
      }
    };
    await read(() => text.split(': keep-alive').length > 5);
    process.kill(engine, 'SIGCONT');
    await read(() => text.includes('event: end'));
    expect(text).toContain('event: end');
    const silent = await listen(alone, longJob(randomUUID()));
    await silent.untilToken(3);
    worker.process.kill('SIGSTOP');
    await expect(silent.ended).rejects.toThrow();
    worker.process.kill('SIGCONT');
    await patient.stop();
    await worker.kill();
  });

  testJobs(scene);
  testLosses(scene);
});
