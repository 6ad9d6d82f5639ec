/**
 * The type of a catalogue entry: actor, action, level, condition, typed facts and sentences of one event.
 */
import type { FieldName, FieldValues } from './fields.ts';
import type { Level } from './stdout.ts';

/** Maximum length of each kind of text, in UTF-16 units. `warning`: `human` at WARN and above. */
export const LIMITS = { human: 100, warning: 300, cute: 150, story: 200, field: 256 } as const;

/** The levels whose sentences have room for a remedy. */
const SEVERE: readonly Level[] = ['WARN', 'ERROR', 'FATAL'];

/** Maximum length of `human` at a level. */
export const humanLimit = (level: Level): number => (SEVERE.includes(level) ? LIMITS.warning : LIMITS.human);

export type Facts<Required extends FieldName, Optional extends FieldName> = {
  readonly [F in Required]: FieldValues[F];
} & {
  readonly [F in Optional]?: FieldValues[F] | undefined;
};

/**
 * Everything about an event except its scope and its facts. `job` is the id of the current job, `unknown`
 * outside of a job.
 */
interface Description<Required extends FieldName, Optional extends FieldName> {
  readonly actor: string;
  readonly action: string;
  readonly level: Level | ((facts: Facts<Required, Optional>) => Level);
  /** True: stdout gets the line at every `--log-level`. */
  readonly always?: true;
  /** Completes the sentence "When …". */
  readonly when: string;
  /** The subject of the event; if absent, it is the job id. */
  readonly target?: (facts: Facts<Required, Optional>, worker: string) => string;
  readonly human: (facts: Facts<Required, Optional>, job: string) => string;
  readonly cute?: (facts: Facts<Required, Optional>, job: string) => string;
  readonly story?: (facts: Facts<Required, Optional>, job: string) => string;
}

/** One event of the catalogue. */
export interface Entry<Required extends FieldName = FieldName, Optional extends FieldName = FieldName>
  extends Description<Required, Optional> {
  /** `lifecycle` events go to stdout only, `request` events also to the stream of their request. */
  readonly scope: 'lifecycle' | 'request';
  readonly required: readonly Required[];
  readonly optional: readonly Optional[];
}

type Maker = <const Required extends FieldName = never, const Optional extends FieldName = never>(
  event: { readonly required?: readonly Required[]; readonly optional?: readonly Optional[] } & Description<
    Required,
    Optional
  >,
) => Entry<Required, Optional>;

const maker =
  (scope: Entry['scope']): Maker =>
  (event) => ({ scope, required: [], optional: [], ...event });
export const lifecycleEvent = maker('lifecycle');
export const requestEvent = maker('request');
