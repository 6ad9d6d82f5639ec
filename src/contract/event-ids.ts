/**
 * The ids of the events of a stream: `<run>-<n>`. `n` counts the events of a run: 0, 1, 2, … The run tells a
 * worker that a client resumes another run of the same job id, which a number alone cannot tell. Pure.
 */

/** The parts of an event id. */
export interface EventId {
  /** Id of the run. Absent in the ids of version 1, which were the number alone. */
  readonly run?: string;
  readonly number: number;
}

/** Letters and digits only: a run id can be part of a URL, of a header and of an event id. */
const RUN = '[0-9A-Za-z]{1,32}';
const RUN_ID = new RegExp(`^${RUN}$`);
const EVENT_ID = new RegExp(`^(?:(${RUN})-)?(\\d{1,15})$`);

/** The parts of an event id, with or without a run; undefined for any other text. */
export function parseEventId(text: string): EventId | undefined {
  const [, run, number] = EVENT_ID.exec(text) ?? [];
  if (number === undefined) return undefined;
  return { ...(run !== undefined && { run }), number: Number(number) };
}

/** The beginning of all event ids of a run: the number follows. Empty for a stream without a run. */
export const eventIdPrefix = (run: string | undefined): string => (run === undefined ? '' : `${run}-`);

/** True if a text has the form of a run id. */
export const isRunId = (text: string): boolean => RUN_ID.test(text);
