/** deploy/haproxy/haproxy.cfg in front of three real workers. */
import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import {
  openScene,
  partOfPieces,
  testDoor,
  testJobs,
  testLosses,
  testStreams,
  WORKER_CONNECTIONS,
} from './support/behind-proxy.ts';
import { hasProgram, startHaproxy } from './support/proxies.ts';

const env = { WORKER_CONNECTIONS };

describe.skipIf(!hasProgram('haproxy'))('HAProxy with the file of deploy/', () => {
  const scene = openScene((workers) => startHaproxy(workers, { env }));

  test('accepts the file', () => {
    const checked = spawnSync('haproxy', ['-c', '-f', 'deploy/haproxy/haproxy.cfg'], { encoding: 'utf8' });
    expect([checked.status, checked.stderr]).toEqual([0, '']);
  });

  testStreams(scene);

  test('without option http-no-delay, a stream arrives in a few pieces', async () => {
    const change = (text: string) => text.replace('    option http-no-delay\n', '');
    const proxy = await startHaproxy(scene.workers, { env, change });
    expect(await partOfPieces({ ...scene, proxy })).toBeLessThan(0.2);
    await proxy.stop();
  });

  testDoor(scene);
  testJobs(scene);
  testLosses(scene);
});
