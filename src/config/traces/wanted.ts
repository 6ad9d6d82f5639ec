/**
 * Decides from the environment if traces are on. Small: every worker loads it, and the other files of traces
 * only if they are.
 */

/** The variables that name the receiver. The first one counts. */
export const ENDPOINTS = ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'OTEL_EXPORTER_OTLP_ENDPOINT'] as const;

/** Variables that can hold a secret: a header of the receiver, or a password in its URL. */
export const SECRET_TRACE_VARIABLES: readonly string[] = [
  'OTEL_EXPORTER_OTLP_TRACES_HEADERS',
  'OTEL_EXPORTER_OTLP_HEADERS',
  ...ENDPOINTS,
];

/** The names of `OTEL_TRACES_EXPORTER` in lower case; empty if it is absent. */
export const exporterNames = (environment: NodeJS.Dict<string>): readonly string[] =>
  (environment['OTEL_TRACES_EXPORTER'] ?? '')
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');

/**
 * True if a receiver is named, or `OTEL_TRACES_EXPORTER` names an exporter; never with
 * `OTEL_SDK_DISABLED=true`, or with `none` in `OTEL_TRACES_EXPORTER`. An empty variable counts as absent.
 */
export function tracesWanted(environment: NodeJS.Dict<string> = process.env): boolean {
  const given = (name: string): string => environment[name]?.trim() ?? '';
  if (given('OTEL_SDK_DISABLED').toLowerCase() === 'true') return false;
  const exporters = exporterNames(environment);
  if (exporters.length > 0) return !exporters.includes('none');
  return ENDPOINTS.some((name) => given(name) !== '');
}
