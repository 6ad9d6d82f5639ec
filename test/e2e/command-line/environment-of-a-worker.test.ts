/**
 * Commands that do not listen, in the environment of a worker that does, as in an init container of its Pod:
 * the address of the worker does not concern them.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCli } from '../../support/cli.ts';
import { haiku, Puller } from '../../support/hub-models.ts';
import { HubServer } from '../../support/hub-server.ts';

/** An open address without a token, a variable of Kubernetes, and two credentials for one callback. */
const ADDRESS = {
  RBEES_HOST: '0.0.0.0',
  RBEES_PORT: 'tcp://10.0.0.1:8080',
  RBEES_CALLBACK_URL: 'http://user:password@pool.example/ready',
  RBEES_CALLBACK_TOKEN: 'token-of-the-pool',
};

let hub: HubServer;
beforeAll(async () => {
  hub = await HubServer.start({ 'org/haiku': { files: await haiku() } });
});
afterAll(() => hub.close());

describe('an address that a worker refuses', () => {
  test('a worker refuses it', async () => {
    const { code, stderr } = await runCli(['serve'], { env: ADDRESS });
    expect([code, stderr]).toEqual([2, expect.stringContaining('RBEES_PORT')]);
    const open = await runCli(['serve'], { env: { RBEES_HOST: '0.0.0.0' } });
    expect([open.code, open.stderr]).toEqual([2, expect.stringContaining('requires --api-token')]);
  });

  test('pull ignores it, and every other setting of a worker', async () => {
    const me = await Puller.at(hub);
    const run = await me.pull(['org/haiku'], { ...ADDRESS, RBEES_SLOTS: 'many' });
    expect([run.code, run.stdout]).toEqual([0, `${me.snapshot('haiku')}\n`]);
    const wrong = await me.pull(['org/haiku'], { ...ADDRESS, RBEES_DTYPE: 'fp64' });
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('RBEES_DTYPE: "fp64"')]);
  });

  test('models and doctor ignore it; doctor checks its flags, and the other settings', async () => {
    expect((await runCli(['models', '--json'], { env: { ...ADDRESS, HF_HOME: '/nonexistent' } })).code).toBe(0);
    const run = await runCli(['doctor', '--json', '--device', 'cpu', '--host', '0.0.0.0'], { env: ADDRESS });
    expect([run.code, run.stderr]).toEqual([0, '']);
    const flag = await runCli(['doctor', '--port', 'x'], { env: ADDRESS });
    expect([flag.code, flag.stderr]).toEqual([2, expect.stringContaining('--port: "x"')]);
    const slots = await runCli(['doctor'], { env: { ...ADDRESS, RBEES_SLOTS: 'many' } });
    expect([slots.code, slots.stderr]).toEqual([2, expect.stringContaining('RBEES_SLOTS: "many"')]);
  });

  test('the worker that ask starts for itself listens on this machine alone', async () => {
    // A worker that listened there would end with an error: nobody has this name.
    const env = { ...ADDRESS, RBEES_HOST: 'worker.invalid' };
    const { code, stderr } = await runCli(['ask', 'The sea'], { env });
    expect([code, stderr]).toEqual([0, expect.stringContaining('tokens')]);
    const flag = await runCli(['ask', 'The sea', '--', '--host', '0.0.0.0']);
    expect([flag.code, flag.stderr]).toEqual([2, expect.stringContaining('requires --api-token')]);
  });
});
