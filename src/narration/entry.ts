/**
 * The form of one entry of the catalogue: who speaks, how loud, when, with which typed facts, in which sentences.
 */
import type { FieldName, FieldValues } from './fields.ts';
import type { Level } from './stdout.ts';

export type Facts<Required extends FieldName, Optional extends FieldName> = {
  readonly [F in Required]: FieldValues[F];
} & {
  readonly [F in Optional]?: FieldValues[F] | undefined;
};

/** What the catalogue says of an event. `to` is the job id of the request in which it is told, `unknown` outside of one. */
interface Described<Required extends FieldName, Optional extends FieldName> {
  readonly actor: string;
  readonly action: string;
  readonly level: Level | ((facts: Facts<Required, Optional>) => Level);
  /** Completes the sentence "When …". */
  readonly when: string;
  /** What the event is about; absent for request events: their job id. */
  readonly target?: (facts: Facts<Required, Optional>, worker: string) => string;
  readonly human: (facts: Facts<Required, Optional>, to: string) => string;
  readonly cute?: (facts: Facts<Required, Optional>, to: string) => string;
  readonly story?: (facts: Facts<Required, Optional>, to: string) => string;
}

/** One event. */
export interface Entry<Required extends FieldName = FieldName, Optional extends FieldName = FieldName>
  extends Described<Required, Optional> {
  /** `lifecycle` events go to stdout only; `request` events also to the stream of their request. */
  readonly scope: 'lifecycle' | 'request';
  readonly required: readonly Required[];
  readonly optional: readonly Optional[];
}

type Maker = <const Required extends FieldName = never, const Optional extends FieldName = never>(
  event: { readonly required?: readonly Required[]; readonly optional?: readonly Optional[] } & Described<
    Required,
    Optional
  >,
) => Entry<Required, Optional>;

const maker =
  (scope: Entry['scope']): Maker =>
  (event) => ({ scope, required: [], optional: [], ...event });
export const lifecycleEvent = maker('lifecycle');
export const requestEvent = maker('request');
