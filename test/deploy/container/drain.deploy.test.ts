/**
 * The end of a Pod with the drain of the chart's default values, whose requests take longer: each user gets the
 * rest of the answer, or an error that tells where to go on, and the container ends by itself.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { endings, Listener, lastOf, longJob } from '../../support/listener.ts';
import { template, theOnly, toolsObstacle } from '../support/kube-tools.ts';
import { IMAGE, POD, playPod, stopTimesOf, WORKER } from '../support/pod.ts';
import { Podman, podmanObstacle } from '../support/podman.ts';
import { HEADERS } from '../support/streams.ts';

const obstacle = podmanObstacle ?? toolsObstacle;
/** One slot without speculation computes 800 tokens/s on two idle cores: these jobs take three minutes. */
const SLOW = { RBEES_SLOTS: '1', RBEES_QUEUE: '1000', RBEES_SPECULATION: 'off' };
const JOBS = 300;

describe.skipIf(obstacle !== undefined)(`a drain of 30 s ${obstacle ?? ''}`, { timeout: 300_000 }, () => {
  let podman: Podman;
  beforeAll(async () => {
    podman = new Podman();
    await podman.buildFromHost(IMAGE);
  });
  afterAll(() => podman?.close());

  test('ends each longer request with DRAINING and its own process with 0, within the grace period', async () => {
    const documents = template();
    const { drain, preStop, grace } = stopTimesOf(theOnly(documents, 'Deployment'));
    expect([drain, preStop, grace]).toEqual([30, 5, 45]);
    const url = await playPod(podman, documents, SLOW);
    const jobs = Array.from({ length: JOBS }, (_, index) => longJob(`job-${index}`));
    const streams = await Promise.all(jobs.map((job) => Listener.post(`${url}/execute`, job, HEADERS)));
    await Promise.race(streams.map((stream) => stream.untilToken()));

    // The kubelet takes the time of preStop from the grace period, then sends SIGTERM, at last SIGKILL.
    const stopped = podman.ok('pod', 'stop', '--time', String(grace - preStop), POD);
    const ends = (await Promise.all(streams.map(({ ended }) => ended))).map((events) => {
      expect(endings(events)).toEqual([events.at(-1)]);
      return lastOf(events);
    });
    await stopped;
    const cut = ends.filter(({ type }) => type === 'error');
    expect(cut.length).toBeGreaterThan(0);
    const resume = { token_ids: expect.any(Array), fingerprint: expect.any(String) };
    for (const end of cut) expect(end).toMatchObject({ code: 'DRAINING', retry: 'elsewhere', resume });
    for (const end of ends.filter((one) => !cut.includes(one))) expect(end).toMatchObject({ tokens_out: 480 });
    expect((await podman.inspect(WORKER)).State).toMatchObject({ Status: 'exited', ExitCode: 0 });
    const [line] = (await podman.lines(WORKER)).filter(({ event }) => event === 'worker.draining');
    expect(line).toMatchObject({ reason: 'sigterm', timeout_ms: 26_000 });
  });
});
