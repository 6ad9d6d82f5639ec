/**
 * The manifests of deploy/kubernetes: the chart and the kustomizations render, and both render the same objects
 * for the same choices.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { ROOT } from '../../support/documents.ts';
import {
  CHART,
  kustomize,
  type Manifest,
  runTool,
  setOptions,
  template,
  theOnly,
  toolsObstacle,
} from '../support/kube-tools.ts';
import { podSpecOf, stopTimesOf } from '../support/pod.ts';

const OVERLAYS = join(ROOT, 'deploy', 'kubernetes', 'overlays');
/** Each overlay with the values of the chart that mean the same. */
const SAME: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  base: {},
  'overlays/pvc': { 'model.source': 'pvc' },
  'overlays/pull': { 'model.source': 'pull' },
  'overlays/image': { 'model.source': 'image' },
  'overlays/gpu': { 'model.source': 'pull', 'gpu.enabled': 'true' },
  'overlays/llm-d': { 'model.source': 'pull', 'inferencePool.enabled': 'true', 'auth.mode': 'none' },
  'overlays/autoscaled': { 'keda.enabled': 'true', 'podMonitor.enabled': 'true' },
};
const cases = Object.entries(SAME);

/** An object in one order: lists of objects with a name or a path by these, and objects by their fields. */
function ordered(value: unknown): unknown {
  if (Array.isArray(value)) {
    const keyOf = (item: Record<string, unknown>) => String(item['name'] ?? item['mountPath'] ?? '');
    const items = value.map(ordered);
    const areObjects = items.every((item) => typeof item === 'object' && item !== null);
    return areObjects ? (items as Record<string, unknown>[]).sort((a, b) => keyOf(a).localeCompare(keyOf(b))) : items;
  }
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.entries(value).sort(([a], [b]) => a.localeCompare(b));
  return Object.fromEntries(fields.map(([name, field]) => [name, ordered(field)]));
}

const byKind = (documents: readonly Manifest[]): unknown =>
  ordered(Object.fromEntries(documents.map((document) => [document.kind, document])));

describe.skipIf(toolsObstacle !== undefined)(`rendered manifests ${toolsObstacle ?? ''}`, () => {
  test('every overlay is compared with the chart', () => {
    const names = readdirSync(OVERLAYS).map((name) => `overlays/${name}`);
    expect(Object.keys(SAME).sort()).toEqual(['base', ...names].sort());
    expect(names.every((name) => existsSync(join(ROOT, 'deploy', 'kubernetes', name, 'kustomization.yaml')))).toBe(
      true,
    );
  });

  test.each(cases)('%s and the chart render the same objects', (folder, values) => {
    expect(byKind(template(values))).toEqual(byKind(kustomize(folder)));
  });

  test('the chart has no lint errors', () => {
    expect(runTool('helm', 'lint', '--strict', CHART)).toMatchObject({ code: 0 });
  });

  test.each([
    [{}, 'kubectl --namespace default rollout status deployment/rbees'],
    [{ 'inferencePool.enabled': 'true', 'auth.mode': 'none' }, 'The workers have no token'],
  ])('the notes of %o have the next commands', (values, sentence) => {
    const { code, output } = runTool('helm', 'install', 'rbees', CHART, '--dry-run=client', ...setOptions(values));
    expect(code, output).toBe(0);
    expect(output).toContain(sentence);
  });

  test.each(cases)('a Pod of %s has few rights, and no token in its variables', (folder) => {
    const spec = podSpecOf(theOnly(kustomize(folder), 'Deployment'));
    expect(spec).toMatchObject({
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } },
    });
    for (const container of [...spec.containers, ...(spec.initContainers ?? [])])
      expect(container).toMatchObject({
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        },
        resources: { limits: { memory: expect.any(String) } },
      });
    expect(JSON.stringify(spec)).not.toMatch(/RBEES_API_TOKEN|secretKeyRef/);
  });

  test.each(cases)(
    'a Pod of %s has time for preStop, the drain and 10 s, by kustomize and by the chart',
    (folder, values) => {
      for (const documents of [kustomize(folder), template(values)]) {
        const { drain, preStop, grace } = stopTimesOf(theOnly(documents, 'Deployment'));
        expect([preStop > 0, drain > 0]).toEqual([true, true]);
        expect(grace).toBe(preStop + drain + 10);
      }
    },
  );

  test.each([
    [1, 1],
    [1, 3600],
    [30, 5],
    [600, 15],
    [86_400, 1],
    [86_400, 3600],
  ])('the chart adds up a drain of %i s and a preStop of %i s', (drain, preStop) => {
    const documents = template({ shutdownTimeout: String(drain), preStopSeconds: String(preStop) });
    const times = stopTimesOf(theOnly(documents, 'Deployment'));
    expect(times).toEqual({ drain, preStop, grace: drain + preStop + 10 });
  });

  test('the drain of KServe fits, too', () => {
    const text = readFileSync(join(ROOT, 'deploy', 'kubernetes', 'kserve', 'llminferenceservice.yaml'), 'utf8');
    const { template: pod } = (parse(text) as Manifest).spec as { template: ReturnType<typeof podSpecOf> };
    const [worker] = pod.containers;
    const drain = Number(worker?.env?.find(({ name }) => name === 'RBEES_SHUTDOWN_TIMEOUT')?.value);
    const preStopMs = Number(/setTimeout\(.*, (\d+)\)/.exec(JSON.stringify(worker?.['lifecycle']))?.[1]);
    expect(pod['terminationGracePeriodSeconds']).toBe(preStopMs / 1000 + drain + 10);
  });
});
