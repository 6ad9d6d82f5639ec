/** A Pod for `podman play kube`, made from a rendered Deployment. */
import { stringify } from 'yaml';
import type { Manifest } from './kube-tools.ts';

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

export interface PodOptions {
  readonly name: string;
  readonly image: string;
  readonly port: number;
  /** The text of the file worker.env. */
  readonly settings: string;
  /** Further variables of all containers. */
  readonly env?: Readonly<Record<string, string>>;
}

/** The specification of the Pods of a Deployment, to be changed. */
export function podSpecOf({ spec }: Manifest): PodSpec {
  return structuredClone((spec as unknown as { template: { spec: PodSpec } }).template.spec);
}

/**
 * The Pod as text. Changed are only: the image and its policy (no registry); the network (that of the host,
 * with a free port, so no ports are named); the Secret, which is a ConfigMap, because podman 4.3 mounts the
 * base64 text of a Secret; and an optional Secret, which podman 4.3 does not know, is an empty folder. The
 * annotation keeps an init container after its end: podman 4.3 sometimes tries to remove it too early.
 */
export function podText(deployment: Manifest, options: PodOptions): string {
  const spec = podSpecOf(deployment);
  spec['hostNetwork'] = true;
  spec.volumes = spec.volumes.map((volume) => playable(volume, options.name));
  for (const container of [...(spec.initContainers ?? []), ...spec.containers]) {
    Object.assign(container, { image: options.image, imagePullPolicy: 'Never' });
    const changed = { ...options.env, RBEES_PORT: String(options.port) };
    const kept = (container.env ?? []).filter(({ name }) => !(name in changed));
    container.env = [...kept, ...Object.entries(changed).map(([name, value]) => ({ name, value }))];
    delete container['ports'];
    for (const probe of Object.values(container))
      if (typeof probe === 'object' && probe !== null && 'httpGet' in probe)
        Object.assign(probe.httpGet as object, { port: options.port });
  }
  const metadata = { name: options.name };
  const annotations = { 'io.podman.annotations.init.container.type': 'always' };
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { ...metadata, annotations }, spec };
  const map = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { 'worker.env': options.settings } };
  return [map, pod].map((document) => stringify(document)).join('---\n');
}

function playable(volume: Mutable, name: string): Mutable {
  const secret = volume['secret'] as { optional?: boolean; items?: unknown } | undefined;
  if (secret === undefined) return volume;
  if (secret.optional) return { name: volume['name'], emptyDir: {} };
  return { name: volume['name'], configMap: { name, items: secret.items } };
}
