/**
 * The schemas of Kubernetes, KEDA and the Prometheus operator for the tests of deploy/kubernetes: the generated
 * validators of three npm packages (MIT), which are installed once into build/deploy-tools. They are no
 * development dependencies: only this suite needs their 31 MB.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT } from '../../support/documents.ts';

const CORE = 'kubernetes-models';
const KEDA = '@kubernetes-models/keda';
const PROMETHEUS = '@kubernetes-models/prometheus-operator';
const PACKAGES = { [CORE]: '5.1.0', [KEDA]: '2.0.0', [PROMETHEUS]: '6.0.0' };
const PARENT = join(ROOT, 'build', 'deploy-tools');
const FOLDER = join(PARENT, `schemas-${Object.values(PACKAGES).join('-')}`);
const DOWNLOAD_MS = 180_000;
/** The last characters of an error that a sentence repeats. */
const REASON = 300;

/** The schema of each kind. */
const SCHEMAS = {
  Deployment: [CORE, 'IoK8sApiAppsV1Deployment'],
  NetworkPolicy: [CORE, 'IoK8sApiNetworkingV1NetworkPolicy'],
  PodDisruptionBudget: [CORE, 'IoK8sApiPolicyV1PodDisruptionBudget'],
  PodMonitor: [PROMETHEUS, 'ComGithubPrometheusOperatorPrometheusOperatorPkgApisMonitoringV1PodMonitor'],
  PodSpec: [CORE, 'IoK8sApiCoreV1PodSpec'],
  ScaledObject: [KEDA, 'ComGithubKedacoreKedaV2ApisKedaV1alpha1ScaledObject'],
  Service: [CORE, 'IoK8sApiCoreV1Service'],
  ServiceAccount: [CORE, 'IoK8sApiCoreV1ServiceAccount'],
} as const;
export type Kind = keyof typeof SCHEMAS;

interface Validate {
  (value: unknown): boolean;
  errors?: readonly { readonly instancePath: string; readonly message?: string; readonly params: object }[] | null;
}

/** Why the schemas are absent, as a sentence; undefined if they are there. */
export const schemasObstacle: string | undefined = obstacle();

export const isKind = (name: string): name is Kind => Object.hasOwn(SCHEMAS, name);

/**
 * The errors of an object, and the paths of the fields that its schema does not know, as
 * `kubectl --validate=strict` reports them. The validators accept such fields, but never read them: so a field
 * that was not read is unknown.
 */
export async function problemsOf(kind: Kind, value: unknown): Promise<readonly unknown[]> {
  const [name, schema] = SCHEMAS[kind];
  const file = join(FOLDER, 'node_modules', name, '_schemas', `${schema}.js`);
  const { validate } = (await import(pathToFileURL(file).href)) as { validate: Validate };
  const read = new Set<string>();
  validate(watched(value, '', read));
  const errors = (validate.errors ?? []).map(({ instancePath, params }) => ({ path: instancePath, ...params }));
  return [...errors, ...unread(value, '', read).map((path) => ({ path, unknown: true }))];
}

/** A view of a value that records the path of each field that is read. */
function watched(value: unknown, path: string, read: Set<string>): unknown {
  if (typeof value !== 'object' || value === null) return value;
  return new Proxy(value, {
    get(target, key) {
      const place = `${path}/${String(key)}`;
      read.add(place);
      return watched(Reflect.get(target, key), place, read);
    },
  });
}

function unread(value: unknown, path: string, read: ReadonlySet<string>): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, field]) => {
    const place = `${path}/${key}`;
    return read.has(place) ? unread(field, place, read) : [place];
  });
}

function obstacle(): string | undefined {
  if (existsSync(FOLDER)) return undefined;
  mkdirSync(PARENT, { recursive: true });
  const own = mkdtempSync(join(PARENT, 'schemas-'));
  try {
    writeFileSync(join(own, 'package.json'), JSON.stringify({ private: true, dependencies: PACKAGES }));
    const install = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock', '--loglevel=error'];
    execFileSync('npm', install, { cwd: own, stdio: 'pipe', timeout: DOWNLOAD_MS });
    if (!existsSync(FOLDER)) renameSync(own, FOLDER);
    return undefined;
  } catch (error) {
    if (existsSync(FOLDER)) return undefined; // another process was faster
    const reason = String(error instanceof Error ? error.message : error).trim();
    return `The schemas could not be downloaded from the npm registry: ${reason.slice(-REASON)}`;
  } finally {
    rmSync(own, { recursive: true, force: true });
  }
}
