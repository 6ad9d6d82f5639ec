/** deploy/nginx/nginx.conf in front of three real workers. */
import { describe, expect, test } from 'vitest';
import { openScene, partOfPieces, testDoor, testJobs, testLosses, testStreams } from './support/behind-proxy.ts';
import { hasProgram, startNginx } from './support/proxies.ts';

describe.skipIf(!hasProgram('nginx'))('nginx with the files of deploy/', () => {
  const scene = openScene((workers) => startNginx(workers));

  testStreams(scene);

  test('with HTTP/1.0 and without X-Accel-Buffering, a stream arrives in a few pieces', async () => {
    const change = (text: string) =>
      text.replace('proxy_buffering on;', 'proxy_ignore_headers X-Accel-Buffering;').replace('version 1.1;', 'version 1.0;');
    const proxy = await startNginx(scene.workers, { change });
    expect(await partOfPieces({ ...scene, proxy })).toBeLessThan(0.3);
    await proxy.stop();
  });

  testDoor(scene);
  testJobs(scene);
  testLosses(scene);
});
