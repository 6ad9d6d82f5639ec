/**
 * The Pods of deploy/kubernetes under podman, which stands in for a kubelet: `podman play kube` starts them
 * with their security context, memory limit, volumes and init containers. podman 4.3 ignores the probes (they
 * need systemd), `lifecycle` and the grace period: the test asks the routes of the probes, and stops the Pod
 * with the grace period itself.
 */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { embeddedModel } from '../../../src/model/folder.ts';
import { haiku } from '../../support/hub-models.ts';
import { HubServer } from '../../support/hub-server.ts';
import type { LogLine } from '../../support/worker.ts';
import { kustomize, template, theOnly, toolsObstacle } from '../support/kube-tools.ts';
import { IMAGE, POD, playPod, podSpecOf, WORKER } from '../support/pod.ts';
import { Podman, podmanObstacle } from '../support/podman.ts';
import { endsOf, openStreams } from '../support/streams.ts';

const MODEL = 'onnx-community/Qwen3-0.6B-ONNX';
const obstacle = podmanObstacle ?? toolsObstacle;

describe.skipIf(obstacle !== undefined)(`a rendered Pod ${obstacle ?? ''}`, { timeout: 300_000 }, () => {
  let podman: Podman;
  let hub: HubServer;
  beforeAll(async () => {
    podman = new Podman();
    hub = await HubServer.start({ [MODEL]: { files: await haiku() } });
    await podman.buildFromHost(IMAGE);
  });
  afterEach(() => podman.removePod(POD));
  afterAll(async () => {
    await podman?.close();
    await hub?.close();
  });

  const lineOf = async (event: string): Promise<LogLine | undefined> =>
    (await podman.lines(WORKER)).find((line) => line.event === event);

  test('of the chart starts with few rights, narrates, streams, and drains within its grace period', async () => {
    const memory = { 'resources.limits.memory': '512Mi', 'resources.requests.memory': '512Mi' };
    const documents = template({ shutdownTimeout: '600', ...memory });
    const url = await playPod(podman, documents);
    expect((await podman.lines(WORKER)).map(({ event }) => event)).toEqual(
      expect.arrayContaining(['worker.startup', 'server.bound', 'model.loaded', 'warmup.done']),
    );
    const { Config, HostConfig } = await podman.inspect(WORKER);
    expect(Config.User).toBe('65532:65532');
    expect(HostConfig).toMatchObject({ ReadonlyRootfs: true, Memory: 512 * 2 ** 20 });
    expect(HostConfig.SecurityOpt).toContain('no-new-privileges');
    expect(Number((await lineOf('memory.expected'))?.['available_bytes'])).toBeLessThan(512 * 2 ** 20);
    expect((await fetch(`${url}/metrics`)).status).toBe(401);

    const streams = await openStreams(url, 8);
    const grace = String(podSpecOf(theOnly(documents, 'Deployment'))['terminationGracePeriodSeconds']);
    const stopped = podman.ok('pod', 'stop', '--time', grace, POD);
    for (const last of await endsOf(streams)) expect(last).toMatchObject({ type: 'end', tokens_out: 480 });
    await stopped;
    expect(Number((await lineOf('worker.draining'))?.['requests_running'])).toBeGreaterThan(0);
    expect((await podman.inspect(WORKER)).State).toMatchObject({ Status: 'exited', ExitCode: 0 });
  });

  test('of the overlay pull gets its model from the init container', async () => {
    const url = await playPod(podman, kustomize('overlays/pull'), { HF_ENDPOINT: hub.url });
    expect(hub.seen.some(({ path }) => path.endsWith('model.onnx'))).toBe(true);
    expect(await lineOf('model.loaded')).toMatchObject({ model_ref: MODEL });
    const [last] = await endsOf(await openStreams(url, 1));
    expect(last).toMatchObject({ type: 'end' });
  });

  test('of the overlay pvc reads its model from the volume of the claim', async () => {
    await podman.ok('volume', 'create', 'models');
    const folder = await podman.ok('volume', 'inspect', '--format', '{{.Mountpoint}}', 'models');
    cpSync(embeddedModel(), join(folder, 'model'), { recursive: true });
    const url = await playPod(podman, kustomize('overlays/pvc'));
    expect(await lineOf('model.loaded')).toMatchObject({ model_ref: 'model' });
    const [last] = await endsOf(await openStreams(url, 1));
    expect(last).toMatchObject({ type: 'end' });
  });
});
