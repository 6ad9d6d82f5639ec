/** `pull` from hubs whose certificates Node.js does not accept: no retries, and the remedy. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { LARGE, Puller } from '../../support/hub-models.ts';
import { HubServer } from '../../support/hub-server.ts';
import { CERTIFICATE_FILE, EXPIRED_FILE, TlsFront } from '../../support/tls.ts';

let hub: HubServer;
let me: Puller;
let front: TlsFront | undefined;
beforeAll(async () => {
  hub = await HubServer.start({ 'org/large': { files: LARGE } });
});
afterAll(() => hub.close());
beforeEach(async () => {
  me = await Puller.at(hub);
});
afterEach(() => front?.close());

const pullFrom = (endpoint: string, more: Readonly<Record<string, string>> = {}) =>
  me.pull(['org/large'], { HF_ENDPOINT: endpoint, ...more });
const start = async (...more: [certificate?: string, address?: string]): Promise<TlsFront> => {
  front = await TlsFront.start(Number(new URL(hub.url).port), ...more);
  return front;
};

test('of an unknown authority: one try, and the variable that adds it', async () => {
  const { port } = await start();
  const { code, stderr } = await pullFrom(`https://localhost:${port}`);
  expect([code, stderr]).toEqual([
    1,
    `rbees-workerd: Set NODE_EXTRA_CA_CERTS to the PEM file of your certificate authority: the certificate of localhost:${port} is not trusted (DEPTH_ZERO_SELF_SIGNED_CERT).\n`,
  ]);
  expect(front?.connections).toBe(1);
});

test('of an authority in NODE_EXTRA_CA_CERTS: the pull begins', async () => {
  const { port } = await start();
  hub.names = { hub: `https://localhost:${port}`, cdn: 'https://cdn.test' };
  hub.put('org/none', { files: {} });
  const { stderr } = await me.pull(['org/none'], {
    HF_ENDPOINT: hub.names.hub,
    NODE_EXTRA_CA_CERTS: CERTIFICATE_FILE,
  });
  expect(stderr).not.toMatch(/certificate/);
  expect(hub.seen.map(({ path }) => path)).toContain('/api/models/org/none/revision/main');
});

test('that has expired: one try, and the clock', async () => {
  const { port } = await start(EXPIRED_FILE);
  const { code, stderr } = await pullFrom(`https://localhost:${port}`, { NODE_EXTRA_CA_CERTS: EXPIRED_FILE });
  expect([code, stderr]).toEqual([
    1,
    expect.stringMatching(/Renew it, or correct the clock of this machine: .*CERT_HAS_EXPIRED/),
  ]);
  expect(front?.connections).toBe(1);
});

test.runIf(process.platform === 'linux')('of another host: one try, and the reason', async () => {
  const { port } = await start(CERTIFICATE_FILE, '127.0.0.2');
  const { code, stderr } = await pullFrom(`https://127.0.0.2:${port}`, { NODE_EXTRA_CA_CERTS: CERTIFICATE_FILE });
  expect([code, stderr]).toEqual([
    1,
    `rbees-workerd: Use the host name of the certificate: the certificate of 127.0.0.2:${port} is for another host name (ERR_TLS_CERT_ALTNAME_INVALID).\n`,
  ]);
  expect(front?.connections).toBe(1);
});

test('of a server without TLS: one try, and the remedy', async () => {
  const { code, stderr } = await pullFrom(hub.url.replace('http:', 'https:'));
  expect([code, stderr]).toEqual([
    1,
    expect.stringMatching(/Use http instead of https, or another port: .* does not speak TLS/),
  ]);
});
