/**
 * Helpers of the contract's schemas: registration under a name, and fields that several schemas use.
 */
import { z } from 'zod';
import { RETRIES } from './errors.ts';
import { STOP_REASONS } from './job-states.ts';

/** Registers a schema under its name in openapi.yaml. */
export const named = <S extends z.ZodType>(id: string, schema: S): S => schema.meta({ id });

const UNICODE_RULE = 'well-formed Unicode, without half of a surrogate pair such as \\ud800';

/**
 * A text that reaches the model. JSON can escape half of a surrogate pair, such as \ud800, for which UTF-8
 * has no bytes: the tokenizer would see U+FFFD in its place.
 * @param forms all forms of the value, if a text is only one of them: the end of "the field must be …"
 */
export const text = (forms?: string) =>
  z.string(forms === undefined ? undefined : { error: forms }).refine((given) => given.isWellFormed(), {
    error: UNICODE_RULE,
    params: { constraint: 'unicode', rule: UNICODE_RULE },
  });

/** A count of items, bytes or tokens: an integer from 0 up. */
export const counted = (description: string) => z.int().min(0).meta({ description });

/** The two fields of every error that tell if a retry can succeed. */
export const RETRY_FIELDS = {
  retriable: z.boolean().meta({ description: 'True if the same request can succeed later: `retry` is not `never`' }),
  retry: z.enum(RETRIES).meta({
    description:
      'Where the same request can succeed. `here`: on this worker, after `Retry-After` if the answer has it. ' +
      '`elsewhere`: on another worker, at once; this worker does not serve it soon (`Retry-After` estimates when), or not at all ' +
      '(no `Retry-After`). `never`: on no worker, until the request changes',
  }),
};

export const STOP_REASON = z.enum(STOP_REASONS).meta({ description: 'Why the output ended' });

/** Id of a run: shown in the event ids, in `X-Run-Id` and in every narration of a job. */
export const RUN_ID = z.string().meta({
  description: 'Id of this run of the job: another POST with the same job id has another one. Letters and digits only',
});

/** The identity of one life of a worker process, in `/health` and in the ready callback. */
export const IDENTITY_FIELDS = {
  instance_id: z.string().meta({
    description:
      'UUID of this life of the process: two workers with the same `worker_id`, and a restarted one, differ in it',
  }),
  pid: counted('Process id'),
  started_at: z.iso.datetime().meta({ description: 'When the process started' }),
  schema_version: counted(
    'Version of the fields of `/health`, of the callback and of the events. Increases when a field is removed or changes its meaning',
  ),
};

export const WORKER_ID = z.string().meta({ description: 'Id of the worker (`--worker-id`)' });
