/**
 * The route table, as plain data: the HTTP server and the OpenAPI document both read it.
 */
import type { ErrorCode } from './errors.ts';

export interface Route {
  readonly method: 'GET' | 'POST';
  /** In the form of OpenAPI: a parameter is in braces. */
  readonly path: string;
  /** True for a probe: no bearer token is required. */
  readonly open?: true;
  /**
   * True for a `GET` whose answer is a live stream: the route has no `HEAD`, which would read the stream to
   * its end.
   */
  readonly endless?: true;
  /** True if the route reads a body, which then may be compressed. */
  readonly takesBody?: true;
  /** True if the last parameter is the rest of the path, which may have slashes. */
  readonly takesRest?: true;
  /**
   * Headers of every answer that repeat the correlation id under the names that the clients of a dialect
   * read.
   */
  readonly requestIds?: readonly string[];
  /** Every error code of an answer before a stream begins, in the order of openapi.yaml. */
  readonly errors: readonly ErrorCode[];
}

/** Errors of a `POST` before the route checks its own rules. */
const BODY: readonly ErrorCode[] = [
  'INVALID_REQUEST',
  'FORBIDDEN_ORIGIN',
  'PAYLOAD_TOO_LARGE',
  'UNSUPPORTED_MEDIA_TYPE',
];
/** Errors of every route that requires the bearer token. */
const GUARDED: readonly ErrorCode[] = ['UNAUTHORIZED'];
/**
 * Errors of every `GET`: malformed HTTP (400), a page of another origin (not for a probe) or a foreign name
 * in `Host` (403), a defect of the worker (500).
 */
const ANY: readonly ErrorCode[] = ['INVALID_REQUEST', 'FORBIDDEN_ORIGIN', 'INTERNAL'];
/** Errors while the worker accepts no jobs. */
const NOT_READY: readonly ErrorCode[] = ['LOADING', 'DRAINING', 'ENGINE_STALLED', 'WORKER_UNHEALTHY'];

/** Errors of a job that has begun: the status of an answer without a stream. */
const JOB_FAILURES: readonly ErrorCode[] = ['SLOW_CONSUMER', 'VRAM_OOM', 'ENGINE_LOST', 'INFERENCE_FAILED'];
/** Errors of a route that runs a job and lets the worker choose its id. */
const RUNS_JOB: readonly ErrorCode[] = [
  ...BODY,
  'TEMPLATE_UNUSABLE',
  'SCHEMA_TOO_COMPLEX',
  ...GUARDED,
  'CANCELLED',
  'PROMPT_TOO_LONG',
  'ALL_SLOTS_BUSY',
  ...NOT_READY,
  'TIMEOUT',
  ...JOB_FAILURES,
  'INTERNAL',
];
/** Clients of OpenAI read this header. */
const REQUEST_ID = ['X-Request-Id'] as const;
/** Errors of a route that converts texts to ids and runs no job. */
const ENCODES: readonly ErrorCode[] = [
  ...BODY,
  'TEMPLATE_UNUSABLE',
  ...GUARDED,
  'PROMPT_TOO_LONG',
  ...NOT_READY,
  'INTERNAL',
];

/** Every route by its operation id, in the order of openapi.yaml. */
export const ROUTES = {
  execute: {
    method: 'POST',
    path: '/execute',
    takesBody: true,
    errors: [
      ...BODY,
      'TEMPLATE_UNUSABLE',
      'SCHEMA_TOO_COMPLEX',
      ...GUARDED,
      'DUPLICATE_JOB',
      'CANCELLED',
      'PROMPT_TOO_LONG',
      'ALL_SLOTS_BUSY',
      ...NOT_READY,
      'TIMEOUT',
      'INTERNAL',
    ],
  },
  jobEvents: {
    method: 'GET',
    path: '/jobs/{job_id}/events',
    endless: true,
    errors: [...ANY, ...GUARDED, 'NOT_FOUND', 'OTHER_RUN', 'GONE', 'TOO_MANY_READERS'],
  },
  jobs: { method: 'GET', path: '/jobs', errors: [...ANY, ...GUARDED] },
  chatCompletions: {
    method: 'POST',
    path: '/v1/chat/completions',
    takesBody: true,
    requestIds: REQUEST_ID,
    errors: RUNS_JOB,
  },
  completions: {
    method: 'POST',
    path: '/v1/completions',
    takesBody: true,
    requestIds: REQUEST_ID,
    errors: RUNS_JOB,
  },
  responses: {
    method: 'POST',
    path: '/v1/responses',
    takesBody: true,
    requestIds: REQUEST_ID,
    errors: RUNS_JOB,
  },
  models: {
    method: 'GET',
    path: '/v1/models',
    requestIds: REQUEST_ID,
    errors: [...ANY, ...GUARDED, ...NOT_READY],
  },
  model: {
    method: 'GET',
    path: '/v1/models/{model}',
    takesRest: true,
    requestIds: REQUEST_ID,
    errors: [...ANY, ...GUARDED, 'NOT_FOUND', ...NOT_READY],
  },
  cancel: { method: 'POST', path: '/cancel', takesBody: true, errors: [...BODY, ...GUARDED, 'NOT_FOUND', 'INTERNAL'] },
  shutdown: { method: 'POST', path: '/shutdown', errors: [...BODY, ...GUARDED, 'DRAINING', 'INTERNAL'] },
  announce: {
    method: 'POST',
    path: '/announce',
    errors: [...BODY, ...GUARDED, 'NO_CALLBACK', 'DRAINING', 'INTERNAL'],
  },
  health: { method: 'GET', path: '/health', errors: [...ANY, ...GUARDED] },
  live: { method: 'GET', path: '/live', open: true, errors: ANY },
  ready: { method: 'GET', path: '/ready', open: true, errors: [...ANY, 'ALL_SLOTS_BUSY', ...NOT_READY] },
  metrics: { method: 'GET', path: '/metrics', errors: [...ANY, ...GUARDED] },
  messages: {
    method: 'POST',
    path: '/v1/messages',
    takesBody: true,
    requestIds: ['X-Request-Id', 'request-id'],
    errors: RUNS_JOB,
  },
  countTokens: {
    method: 'POST',
    path: '/v1/messages/count_tokens',
    takesBody: true,
    requestIds: ['X-Request-Id', 'request-id'],
    errors: ENCODES,
  },
  tokenize: {
    method: 'POST',
    path: '/tokenize',
    takesBody: true,
    requestIds: ['X-Request-Id'],
    errors: ENCODES,
  },
  detokenize: {
    method: 'POST',
    path: '/detokenize',
    takesBody: true,
    requestIds: ['X-Request-Id'],
    errors: [...BODY, ...GUARDED, ...NOT_READY, 'INTERNAL'],
  },
  tokenizerInfo: {
    method: 'GET',
    path: '/tokenizer_info',
    requestIds: ['X-Request-Id'],
    errors: [...ANY, ...GUARDED, ...NOT_READY],
  },
  openapiYaml: { method: 'GET', path: '/openapi.yaml', errors: [...ANY, ...GUARDED] },
  openapiJson: { method: 'GET', path: '/openapi.json', errors: [...ANY, ...GUARDED] },
} as const satisfies Record<string, Route>;

export type RouteId = keyof typeof ROUTES;
