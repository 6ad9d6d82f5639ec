/** Commands whose output cannot be written: exit code 1 and the reason, whenever the write fails. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCli } from '../../support/cli.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

const QUESTION = 'Write a haiku about the sea';
const REASON = 'cannot be written: ENOSPC: no space left on device, write';

describe.runIf(process.platform === 'linux')('a full disk is a failure with its reason', () => {
  let worker: TestWorker;
  beforeAll(async () => {
    worker = await startWorker();
    await worker.execute({ job_id: 'over', prompt: QUESTION });
  });
  afterAll(() => worker.kill());

  const run = (args: readonly string[]) =>
    runCli(args, { launcher: ['sh', '-c', 'exec "$@" > /dev/full', '-'], env: { RBEES_URL: worker.url } });

  test.each([
    [['ask', QUESTION, '-q'], `rbees-workerd: The answer ${REASON}\n`],
    [['ask', QUESTION, '--json'], `rbees-workerd: The answer ${REASON}\n`],
    [['watch', 'over', '--json'], `The answer ${REASON}\n`],
    [['watch'], `rbees-workerd: The output ${REASON}\n`],
    [['ps', '--no-rate'], `rbees-workerd: The output ${REASON}\n`],
    [['models'], `rbees-workerd: The output ${REASON}\n`],
    [['completions', 'bash'], `rbees-workerd: The output ${REASON}\n`],
    [['--help'], `rbees-workerd: The output ${REASON}\n`],
  ])('%j', async (args, message) => {
    const { code, stderr } = await run(args);
    expect([code, stderr]).toEqual([1, message]);
  });
});
