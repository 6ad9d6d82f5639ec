/**
 * The manifests compared with the schemas of the API server: all kinds of Kubernetes, of KEDA and of the
 * Prometheus operator by support/kube-schemas.ts, InferencePool and LLMInferenceService by
 * support/custom-resources.ts. A misspelt field fails; the API server would drop it. Not checked: rules in CEL.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ValidateFunction } from 'ajv';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { ROOT } from '../../support/documents.ts';
import { inferencePool as pool, llmInferenceService as service } from '../support/custom-resources.ts';
import { isKind, type Kind, problemsOf, schemasObstacle } from '../support/kube-schemas.ts';
import { kustomize, type Manifest, template, toolsObstacle } from '../support/kube-tools.ts';
import { podSpecOf } from '../support/pod.ts';

const KUBERNETES = join(ROOT, 'deploy', 'kubernetes');
const read = (path: string): Manifest => parse(readFileSync(join(KUBERNETES, path), 'utf8')) as Manifest;

const errorsOf = (validate: ValidateFunction, value: unknown): unknown[] => {
  validate(value);
  return (validate.errors ?? []).map(({ instancePath, message, params }) => ({ instancePath, message, ...params }));
};

const POOL = read('components/inference-pool/inferencepool.yaml');
const SERVICE = read('kserve/llminferenceservice.yaml');
const SERVICE_POD = SERVICE.spec?.['template'] as object;
const DEPLOYMENT = read('base/deployment.yaml');

describe('the schema of', () => {
  test.each([
    ['InferencePool v1', pool, POOL],
    ['LLMInferenceService v1alpha1', service, SERVICE],
  ])('%s accepts the manifest', (_, validate, manifest) => {
    expect(errorsOf(validate, manifest)).toEqual([]);
  });

  test('InferencePool refuses the port of an earlier version, and a picker without a port', () => {
    const { targetPorts, ...rest } = POOL.spec ?? {};
    expect(targetPorts).toBeDefined();
    expect(errorsOf(pool, { ...POOL, spec: { ...rest, targetPortNumber: 8080 } })).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ additionalProperty: 'targetPortNumber' }),
        expect.objectContaining({ missingProperty: 'targetPorts' }),
      ]),
    );
    const failing = { ...POOL, spec: { ...POOL.spec, endpointPickerRef: { name: 'x', failureMode: 'FailOften' } } };
    expect(errorsOf(pool, failing)).toContainEqual(
      expect.objectContaining({ instancePath: expect.stringMatching(/failureMode$/) }),
    );
  });

  test('LLMInferenceService refuses a misspelt field', () => {
    const { template: pod, ...rest } = SERVICE.spec ?? {};
    expect(errorsOf(service, { ...SERVICE, spec: { ...rest, tmplate: pod } })).toContainEqual(
      expect.objectContaining({ additionalProperty: 'tmplate' }),
    );
  });
});

const FOLDERS = ['base', 'pvc', 'pull', 'image', 'gpu', 'llm-d', 'autoscaled'];
/** Values of the chart that render every kind and every optional field. */
const VALUES: readonly Readonly<Record<string, string>>[] = [
  {},
  { 'cache.claimName': 'cache', 'env.RBEES_SLOTS': 'auto', 'nodeSelector.zone': 'a' },
  { 'keda.enabled': 'true', 'podMonitor.enabled': 'true', 'gpu.enabled': 'true', 'model.source': 'pull' },
  { 'podDisruptionBudget.maxUnavailable': '20%', 'networkPolicy.enabled': 'false', 'model.source': 'image' },
];
const obstacle = toolsObstacle ?? schemasObstacle;

describe.skipIf(obstacle !== undefined)(`the schema of each kind ${obstacle ?? ''}`, () => {
  /** The problems of all objects, by their kinds. */
  async function problems(documents: readonly Manifest[]): Promise<Record<string, readonly unknown[]>> {
    const found: Record<string, readonly unknown[]> = {};
    for (const document of documents)
      if (document.kind === POOL.kind) found[document.kind] = errorsOf(pool, document);
      else if (isKind(document.kind)) found[document.kind] = await problemsOf(document.kind, document);
      else throw new Error(`There is no schema of ${document.kind}.`);
    return found;
  }
  const noProblems = (documents: readonly Manifest[]): object =>
    Object.fromEntries(documents.map(({ kind }) => [kind, []]));

  test.each(FOLDERS)('accepts all objects of the kustomization %s', async (name) => {
    const documents = kustomize(name === 'base' ? name : `overlays/${name}`);
    expect(documents.length).toBeGreaterThan(4);
    expect(await problems(documents)).toEqual(noProblems(documents));
  });

  test.each(VALUES)('accepts all objects of the chart with %o', async (values) => {
    const documents = template(values);
    expect(await problems(documents)).toEqual(noProblems(documents));
  });

  test('accepts the Pod of LLMInferenceService', async () => {
    expect(await problemsOf('PodSpec', SERVICE_POD)).toEqual([]);
  });

  const POD = podSpecOf(DEPLOYMENT);
  const policy = read('base/networkpolicy.yaml');
  const budget = read('base/poddisruptionbudget.yaml');
  const scaled = read('components/keda/scaledobject.yaml');
  const monitor = read('components/pod-monitor/podmonitor.yaml');
  const misspelt: readonly [Kind, object, string][] = [
    ['Deployment', { ...DEPLOYMENT, spec: { ...DEPLOYMENT.spec, replicaz: 1 } }, '/spec/replicaz'],
    ['PodSpec', { ...POD, enableServiceLink: false }, '/enableServiceLink'],
    ['PodSpec', { containers: [{ ...POD.containers[0], readynessProbe: {} }] }, '/containers/0/readynessProbe'],
    ['Service', { ...read('base/service.yaml'), spec: { ports: [{ port: 1, prot: 'TCP' }] } }, '/spec/ports/0/prot'],
    ['ServiceAccount', { ...read('base/serviceaccount.yaml'), automount: false }, '/automount'],
    ['NetworkPolicy', { ...policy, spec: { ...policy.spec, ingres: [] } }, '/spec/ingres'],
    ['PodDisruptionBudget', { ...budget, spec: { ...budget.spec, minAvailible: 1 } }, '/spec/minAvailible'],
    ['ScaledObject', { ...scaled, spec: { ...scaled.spec, maxReplicas: 3 } }, '/spec/maxReplicas'],
    ['PodMonitor', { ...monitor, spec: { ...monitor.spec, endpoints: [] } }, '/spec/endpoints'],
  ];
  test.each(misspelt)('%s refuses a misspelt field: %#', async (kind, manifest, path) => {
    expect(await problemsOf(kind, manifest)).toContainEqual({ path, unknown: true });
  });

  test.each([
    ['Service', { ...read('base/service.yaml'), spec: { ports: [{ port: 'http' }] } }, '/spec/ports/0/port'],
    ['PodDisruptionBudget', { ...budget, spec: { ...budget.spec, maxUnavailable: true } }, '/spec/maxUnavailable'],
    ['PodSpec', { ...POD, terminationGracePeriodSeconds: '45' }, '/terminationGracePeriodSeconds'],
    ['ScaledObject', { ...scaled, spec: { ...scaled.spec, minReplicaCount: '2' } }, '/spec/minReplicaCount'],
    ['PodMonitor', { ...monitor, spec: { ...monitor.spec, jobLabel: 1 } }, '/spec/jobLabel'],
  ] as const)('%s refuses a wrong type: %#', async (kind, manifest, path) => {
    expect(await problemsOf(kind, manifest)).toContainEqual(expect.objectContaining({ path }));
  });
});

describe('a selector', () => {
  test.each(['service.yaml', 'poddisruptionbudget.yaml', 'networkpolicy.yaml'])('of %s chooses the Pods', (file) => {
    const { spec } = read(`base/${file}`);
    const { metadata } = (DEPLOYMENT.spec as { template: Manifest }).template;
    const selector = (spec?.['podSelector'] ?? spec?.['selector']) as { matchLabels?: object };
    expect(metadata.labels).toMatchObject(selector.matchLabels ?? selector);
    expect(POOL.spec?.['selector']).toEqual({ matchLabels: metadata.labels });
  });
});
