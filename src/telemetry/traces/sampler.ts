/**
 * Decides which traces are exported: samplers with the names and the meaning of OpenTelemetry. Pure.
 */

export const SAMPLERS = [
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
  'always_on',
  'always_off',
  'traceidratio',
] as const;
export type SamplerName = (typeof SAMPLERS)[number];

export interface SamplerSettings {
  readonly name: SamplerName;
  /** Share of the traces for `traceidratio`, 0 to 1. */
  readonly ratio: number;
}

/** The first 52 of the random 56 bits of a trace id (W3C Trace Context Level 2): an exact number. */
const RANDOM_START = 18;
const RANDOM_DIGITS = 13;
const RANDOM_VALUES = 2 ** 52;

/**
 * True if a span is to be exported.
 * @param parentSampled the flag of the remote parent; undefined without one
 */
export function isSampled({ name, ratio }: SamplerSettings, traceId: string, parentSampled?: boolean): boolean {
  if (name.startsWith('parentbased_') && parentSampled !== undefined) return parentSampled;
  if (name.endsWith('always_on')) return true;
  if (name.endsWith('always_off')) return false;
  // The rule of OTEP 235: programs that follow it choose the same traces. Each SDK has a rule of its own.
  const random = Number.parseInt(traceId.slice(RANDOM_START, RANDOM_START + RANDOM_DIGITS), 16);
  return random >= (1 - ratio) * RANDOM_VALUES;
}
