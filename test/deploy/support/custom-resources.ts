/**
 * The fields of two custom resources, as JSON schemas: InferencePool v1 of the Gateway API Inference Extension
 * 1.6 and LLMInferenceService v1alpha1 of KServe 0.20. Written after their API references, because npm has no
 * schema of them. Of LLMInferenceService only the fields that our example can have; rules in CEL are left out.
 */
import { Ajv, type ValidateFunction } from 'ajv';

type Fields = Readonly<Record<string, object>>;

/** Refuses fields that are not listed, as `kubectl --validate=strict` does. */
const record = (required: Fields, optional: Fields = {}): object => ({
  type: 'object',
  properties: { ...required, ...optional },
  required: Object.keys(required),
  additionalProperties: false,
});
const text = (most?: number, least = 1): object =>
  most === undefined ? { type: 'string' } : { type: 'string', minLength: least, maxLength: most };
const oneOf = (...values: readonly string[]): object => ({ enum: values });
const texts: object = { type: 'object', additionalProperties: text() };
const port = record({ number: { type: 'integer', minimum: 1, maximum: 65_535 } });
const LABEL_VALUE = { ...text(63, 0), pattern: '^$|^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$' };

const named = (apiVersion: string, kind: string, spec: object): object =>
  record({ apiVersion: { const: apiVersion }, kind: { const: kind }, metadata: { type: 'object' }, spec });

const POOL_SPEC = record(
  {
    selector: record({
      matchLabels: { type: 'object', additionalProperties: LABEL_VALUE, minProperties: 1, maxProperties: 64 },
    }),
    targetPorts: { type: 'array', items: port, minItems: 1, maxItems: 8 },
  },
  {
    appProtocol: oneOf('http', 'kubernetes.io/h2c'),
    endpointPickerRef: record(
      { name: text(253) },
      { group: text(253, 0), kind: text(63), port, failureMode: oneOf('FailOpen', 'FailClose') },
    ),
  },
);

/** An empty part of the router has the defaults of KServe. */
const empty = record({});
const SERVICE_SPEC = record(
  { model: record({ uri: text() }, { name: text() }) },
  {
    replicas: { type: 'integer', minimum: 0 },
    labels: texts,
    annotations: texts,
    router: record({}, { gateway: empty, route: empty, scheduler: empty }),
    // A PodSpec: kube-schemas.ts has its fields.
    template: { type: 'object' },
  },
);

const ajv = new Ajv({ allErrors: true });
export const inferencePool: ValidateFunction = ajv.compile(
  named('inference.networking.k8s.io/v1', 'InferencePool', POOL_SPEC),
);
export const llmInferenceService: ValidateFunction = ajv.compile(
  named('serving.kserve.io/v1alpha1', 'LLMInferenceService', SERVICE_SPEC),
);
