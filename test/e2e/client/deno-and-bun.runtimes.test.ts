/** The client of the package in Deno and in Bun: the scenario that the other runtimes run too. */
import { afterAll, describe, expect, test } from 'vitest';
import { runScenario } from '../../support/client/project.ts';
import { installRuntimes } from '../../support/client/runtimes.ts';
import { EXPECTED, openScene } from '../../support/client/scene.ts';

const runtimes = installRuntimes();
if (runtimes.obstacle !== undefined) console.warn(runtimes.obstacle);
afterAll(() => runtimes.remove());

describe.skipIf(runtimes.obstacle !== undefined)('the client of the package', () => {
  test.each([
    ['Deno', [runtimes.deno, 'run', '--allow-net', '--allow-read', '--no-remote', '--node-modules-dir=manual']],
    ['Bun', [runtimes.bun, 'run', '--bun']],
  ])('in %s', async (_name, command) => {
    const scene = await openScene();
    try {
      expect(await runScenario(command, scene)).toMatchObject(EXPECTED);
      expect(scene.losing.seen.filter((line) => line.startsWith('POST'))).toEqual(['POST /execute']);
    } finally {
      await scene.close();
    }
  });
});
