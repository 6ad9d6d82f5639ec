/**
 * The form of one entry of the catalogue: who speaks, how loud, when, with which typed facts, in which sentences.
 */
import type { FieldName, FieldValues } from './fields.ts';
import type { Level } from './stdout.ts';

export type Facts<Has extends FieldName, May extends FieldName> = { readonly [F in Has]: FieldValues[F] } & {
  readonly [F in May]?: FieldValues[F] | undefined;
};

/** One event. `to` is the job id of the story in which it is told, `unknown` outside of one. */
export interface Entry<Has extends FieldName = FieldName, May extends FieldName = FieldName> {
  /** `lifecycle` events go to stdout only; `request` events also to the stream of their request. */
  readonly scope: 'lifecycle' | 'request';
  readonly actor: string;
  readonly action: string;
  readonly level: Level | ((facts: Facts<Has, May>) => Level);
  /** Completes the sentence "When …". */
  readonly when: string;
  readonly has: readonly Has[];
  readonly may: readonly May[];
  /** What the event is about; absent for request events: their job id. */
  readonly target?: (facts: Facts<Has, May>, worker: string) => string;
  readonly human: (facts: Facts<Has, May>, to: string) => string;
  readonly cute?: (facts: Facts<Has, May>, to: string) => string;
  readonly story?: (facts: Facts<Has, May>, to: string) => string;
}

type Sentences<Has extends FieldName, May extends FieldName> = Omit<
  Entry<Has, May>,
  'scope' | 'actor' | 'action' | 'level' | 'when' | 'has' | 'may'
>;
type Maker = <const Has extends FieldName = never, const May extends FieldName = never>(
  who: readonly [actor: string, action: string],
  level: Entry<Has, May>['level'],
  when: string,
  facts: { readonly has?: readonly Has[]; readonly may?: readonly May[] },
  sentences: Sentences<Has, May>,
) => Entry<Has, May>;

const maker =
  (scope: Entry['scope']): Maker =>
  ([actor, action], level, when, facts, sentences) => ({
    scope,
    actor,
    action,
    level,
    when,
    has: facts.has ?? [],
    may: facts.may ?? [],
    ...sentences,
  });
export const life = maker('lifecycle');
export const request = maker('request');
