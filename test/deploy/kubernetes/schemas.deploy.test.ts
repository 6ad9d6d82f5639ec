/**
 * The manifests compared with the schemas of the API server: InferencePool, ScaledObject and
 * LLMInferenceService with their own CRDs (crds/), and the Pods with the schema of a Pod in the CRD of
 * LLMInferenceService. Every object schema is closed first, so that a misspelt field fails; the API server would
 * drop such a field. Not checked: rules in CEL, and the kinds of the cluster besides Pods.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv, type ValidateFunction } from 'ajv';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { ROOT } from '../../support/documents.ts';
import { kustomize, type Manifest, template, theOnly, toolsObstacle } from '../support/kube-tools.ts';
import { podSpecOf } from '../support/pod.ts';

interface Schema {
  [keyword: string]: unknown;
}
interface Definition {
  readonly spec: { readonly versions: readonly { readonly schema: { readonly openAPIV3Schema: Schema } }[] };
}

const KUBERNETES = join(ROOT, 'deploy', 'kubernetes');
const read = (path: string): Manifest => parse(readFileSync(join(KUBERNETES, path), 'utf8')) as Manifest;

/** Refuses fields that a schema does not list, as `kubectl --validate=strict` does. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== 'object' || schema === null) return schema;
  const result = Object.fromEntries(
    Object.entries(schema).map(([keyword, value]) => [keyword, closed(value)]),
  ) as Schema;
  const isOpen = 'additionalProperties' in result || 'x-kubernetes-preserve-unknown-fields' in result;
  const hasFields = typeof result['properties'] === 'object' && result['type'] === 'object';
  return hasFields && !isOpen ? { ...result, additionalProperties: false } : result;
}

function schemaOf(file: string): Schema {
  const text = readFileSync(join(ROOT, 'test', 'deploy', 'kubernetes', 'crds', file), 'utf8');
  const [version] = (parse(text) as Definition).spec.versions;
  if (!version) throw new Error(`${file} has no version.`);
  return version.schema.openAPIV3Schema;
}

const compile = (schema: unknown): ValidateFunction =>
  new Ajv({ strict: false, validateFormats: false, allErrors: true }).compile(closed(schema) as object);
const errorsOf = (validate: ValidateFunction, value: unknown): unknown[] => {
  validate(value);
  return (validate.errors ?? []).map(({ instancePath, message, params }) => ({ instancePath, message, ...params }));
};

const llm = schemaOf('llminferenceservice.yaml');
const pool = compile(schemaOf('inferencepool.yaml'));
const scaled = compile(schemaOf('scaledobject.yaml'));
const service = compile(llm);
const pod = compile(
  ['spec', 'template'].reduce((schema, name) => (schema['properties'] as Record<string, Schema>)[name] ?? {}, llm),
);

const POOL = read('components/inference-pool/inferencepool.yaml');
const SCALED = read('components/keda/scaledobject.yaml');
const SERVICE = read('kserve/llminferenceservice.yaml');
const POD = podSpecOf(read('base/deployment.yaml'));

describe('the schema of', () => {
  test.each([
    ['InferencePool v1', pool, POOL],
    ['ScaledObject', scaled, SCALED],
    ['LLMInferenceService v1alpha1', service, SERVICE],
    ['a Pod', pod, POD],
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

  test.each([
    ['ScaledObject', scaled, { ...SCALED, spec: { ...SCALED.spec, maxReplicas: 3 } }, 'maxReplicas'],
    ['LLMInferenceService', service, { ...SERVICE, spec: { ...SERVICE.spec, tmplate: {} } }, 'tmplate'],
    ['a Pod', pod, { ...POD, enableServiceLink: false }, 'enableServiceLink'],
    ['a container', pod, { containers: [{ ...POD.containers[0], readynessProbe: {} }] }, 'readynessProbe'],
  ])('%s refuses a misspelt field', (_, validate, manifest, additionalProperty) => {
    expect(errorsOf(validate, manifest)).toContainEqual(expect.objectContaining({ additionalProperty }));
  });
});

describe.skipIf(toolsObstacle !== undefined)(`the schema of a Pod ${toolsObstacle ?? ''}`, () => {
  test.each(['base', 'pvc', 'pull', 'image', 'gpu', 'llm-d', 'autoscaled'])('accepts the overlay %s', (name) => {
    const documents = kustomize(name === 'base' ? name : `overlays/${name}`);
    expect(errorsOf(pod, podSpecOf(theOnly(documents, 'Deployment')))).toEqual([]);
  });

  test('accepts the chart with a claim for the cache, settings and a node selector', () => {
    const values = { 'cache.claimName': 'cache', 'env.RBEES_SLOTS': 'auto', 'nodeSelector.zone': 'a' };
    expect(errorsOf(pod, podSpecOf(theOnly(template(values), 'Deployment')))).toEqual([]);
  });
});

describe('a selector', () => {
  test.each(['service.yaml', 'poddisruptionbudget.yaml', 'networkpolicy.yaml'])('of %s chooses the Pods', (file) => {
    const { spec } = read(`base/${file}`);
    const { metadata } = (read('base/deployment.yaml').spec as { template: Manifest }).template;
    const selector = (spec?.['podSelector'] ?? spec?.['selector']) as { matchLabels?: object };
    expect(metadata.labels).toMatchObject(selector.matchLabels ?? selector);
    expect(POOL.spec?.['selector']).toEqual({ matchLabels: metadata.labels });
  });
});
