/** The client of the package in Node.js, as a script of a user: the scenario that other runtimes run too. */
import { expect, test } from 'vitest';
import { runScenario } from '../../support/client/project.ts';
import { EXPECTED, openScene } from '../../support/client/scene.ts';

test('a script in Node.js uses the client of the package', async () => {
  const scene = await openScene();
  try {
    expect(await runScenario([process.execPath], scene)).toMatchObject(EXPECTED);
    expect(scene.losing.seen.filter((line) => line.startsWith('POST'))).toEqual(['POST /execute']);
  } finally {
    await scene.close();
  }
});
