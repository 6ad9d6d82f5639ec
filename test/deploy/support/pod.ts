/** A Pod for `podman play kube`, made from a rendered Deployment. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { stringify } from 'yaml';
import { eventually } from '../../support/eventually.ts';
import { freePort } from '../../support/free-port.ts';
import { type Manifest, theOnly } from './kube-tools.ts';
import type { Podman } from './podman.ts';
import { isReady, TOKEN } from './streams.ts';

interface Mutable {
  [field: string]: unknown;
}
interface PodContainer extends Mutable {
  name: string;
  image: string;
  env?: { name: string; value?: string }[];
}
interface PodSpec extends Mutable {
  containers: PodContainer[];
  initContainers?: PodContainer[];
  volumes: Mutable[];
}

interface PodOptions {
  readonly port: number;
  /** Further variables of all containers. */
  readonly env?: Readonly<Record<string, string>>;
}

export const IMAGE = 'localhost/rbees-workerd:test';
export const POD = 'rbees';
/** The container of the worker in the Pod. */
export const WORKER = `${POD}-worker`;
/** The text of the file worker.env. */
const SETTINGS = `RBEES_API_TOKEN=${TOKEN}\n`;

/** Starts the Pod of the Deployment, and waits until its worker is ready. @returns the URL of the worker */
export async function playPod(
  podman: Podman,
  documents: readonly Manifest[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const file = join(podman.folder, 'pod.yaml');
  const port = await freePort();
  writeFileSync(file, podText(theOnly(documents, 'Deployment'), { port, env }));
  await podman.ok('play', 'kube', file);
  const url = `http://127.0.0.1:${port}`;
  await eventually(async () => expect(await isReady(url), JSON.stringify(await podman.lines(WORKER))).toBe(true));
  return url;
}

/** The specification of the Pods of a Deployment, to be changed. */
export function podSpecOf({ spec }: Manifest): PodSpec {
  return structuredClone((spec as unknown as { template: { spec: PodSpec } }).template.spec);
}

/** The times of the end of a Pod, in seconds; NaN for a missing one. */
export function stopTimesOf(deployment: Manifest): { drain: number; preStop: number; grace: number } {
  const spec = podSpecOf(deployment);
  const [worker] = spec.containers;
  const drain = Number(worker?.env?.find(({ name }) => name === 'RBEES_SHUTDOWN_TIMEOUT')?.value);
  const lifecycle = worker?.['lifecycle'] as { preStop: { sleep: { seconds: number } } } | undefined;
  return {
    drain,
    preStop: Number(lifecycle?.preStop.sleep.seconds),
    grace: Number(spec['terminationGracePeriodSeconds']),
  };
}

/**
 * The Pod as text. Changed are only: the image and its policy (no registry); the network (that of the host,
 * with a free port, so no ports are named); the Secret, which is a ConfigMap, because podman 4.3 mounts the
 * base64 text of a Secret; and an optional Secret, which podman 4.3 does not know, is an empty folder. The
 * annotation keeps an init container after its end: podman 4.3 sometimes tries to remove it too early.
 */
function podText(deployment: Manifest, options: PodOptions): string {
  const spec = podSpecOf(deployment);
  spec['hostNetwork'] = true;
  spec.volumes = spec.volumes.map((volume) => playable(volume));
  for (const container of [...(spec.initContainers ?? []), ...spec.containers]) {
    Object.assign(container, { image: IMAGE, imagePullPolicy: 'Never' });
    const changed = { ...options.env, RBEES_PORT: String(options.port) };
    const kept = (container.env ?? []).filter(({ name }) => !(name in changed));
    container.env = [...kept, ...Object.entries(changed).map(([name, value]) => ({ name, value }))];
    delete container['ports'];
    for (const probe of Object.values(container))
      if (typeof probe === 'object' && probe !== null && 'httpGet' in probe)
        Object.assign(probe.httpGet as object, { port: options.port });
  }
  const metadata = { name: POD };
  const annotations = { 'io.podman.annotations.init.container.type': 'always' };
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { ...metadata, annotations }, spec };
  const map = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { 'worker.env': SETTINGS } };
  return [map, pod].map((document) => stringify(document)).join('---\n');
}

function playable(volume: Mutable): Mutable {
  const secret = volume['secret'] as { optional?: boolean; items?: unknown } | undefined;
  if (secret === undefined) return volume;
  if (secret.optional) return { name: volume['name'], emptyDir: {} };
  return { name: volume['name'], configMap: { name: POD, items: secret.items } };
}
