/** The form of the prose of a route, and the parts that the files of routes share. */
import type { ErrorCode } from '../src/contract/errors.ts';

/** Media type → schema. */
export type Content = Readonly<Record<string, object>>;

export interface Answer {
  readonly description: string;
  readonly content?: Content;
  readonly headers?: readonly string[];
  /** The body is a stream of events. */
  readonly stream?: true;
}

/** The errors of a dialect, where they differ from those of the native routes. */
export interface DialectErrors {
  /** Name of the schema. */
  readonly schema: string;
  /** Statuses that differ from the error table. */
  readonly statuses: Partial<Record<ErrorCode, number>>;
}

/**
 * The headers of the errors of a dialect, by status. A job that failed after it had begun has its ids; a request
 * that was refused has none.
 */
const IDS_OF_JOB = ['Failed-X-Job-Id', 'Failed-X-Run-Id'] as const;
export const JOB_ERROR_HEADERS = {
  415: ['Accept-Encoding'],
  499: IDS_OF_JOB,
  500: IDS_OF_JOB,
  503: ['Retry-After', ...IDS_OF_JOB],
  504: IDS_OF_JOB,
} as const;

/** The forms of errors of a job that failed after it had begun. */
export const FAILED_JOB = {
  500: {
    description:
      'Also `engine_lost` of a request that ended the engine each time: load balancers send a request to another worker ' +
      'after 503, and this one must not be sent again.',
  },
} as const;

export interface RouteProse {
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  /** Names of PARAMETERS. */
  readonly takes: readonly string[];
  /** Name of the schema of the body. */
  readonly body?: string;
  /** Status → answer. */
  readonly answers: Readonly<Record<number, Answer>>;
  /** Absent: the errors are `ErrorAnswer`. */
  readonly dialect?: DialectErrors;
  /** Names of HEADERS_OUT. */
  readonly errorHeaders?: Readonly<Record<number, readonly string[]>>;
  readonly errorForms?: Readonly<Record<number, { readonly description: string; readonly content?: Content }>>;
}

export const json = (schema: object): Content => ({ 'application/json': schema });
export const ref = (schema: string) => ({ $ref: `#/components/schemas/${schema}` });

/** A schema that is one of several events, told apart by `type`. */
export const oneOf = (events: Readonly<Record<string, string>>) => ({
  oneOf: Object.values(events).map((id) => ref(id)),
  discriminator: {
    propertyName: 'type',
    mapping: Object.fromEntries(Object.entries(events).map(([type, id]) => [type, ref(id).$ref])),
  },
});
