/**
 * Turns the body and the headers of `POST /execute` into an order, which is independent of the wire format.
 * Pure.
 */
import { type Violation, WorkerError } from '../../contract/errors.ts';
import type { ExecuteRequest } from '../../contract/execute.ts';
import { logitBiasIn, samplingIn } from '../../contract/sampling-fields.ts';
import type { Json } from '../../grammar/output-format.ts';
import type { DemandedFormat, GenerationOrder, ResumeOrder } from '../../jobs/order.ts';
import { besideTools } from '../dialect/format/demanded-format.ts';
import { type Checked, shownText } from '../validate.ts';
import { conversationOf } from './conversation.ts';

/**
 * The order of a checked body. `deadlineHeader` is the header `X-Deadline`.
 * @throws WorkerError `INVALID_REQUEST` with all violations of the body and of the header, or with that of a
 *   broken tool or message of a conversation
 */
export function orderOf(
  checked: Checked<ExecuteRequest>,
  deadlineHeader: string | string[] | undefined,
): GenerationOrder {
  const deadline = deadlineOf(deadlineHeader);
  const violations = [...(checked.ok ? [] : checked.violations), ...(deadline.violation ? [deadline.violation] : [])];
  if (!checked.ok || deadline.violation) throw new WorkerError('INVALID_REQUEST', undefined, { violations });
  const { value: body, unknown } = checked;
  const { ignored, ...conversation } = conversationOf(body);
  const demanded = formatOf(body);
  const { toolUse } = conversation;
  const { format, ignored: besideCalls } = toolUse
    ? besideTools(demanded, toolUse.choice)
    : { format: demanded, ignored: [] };
  return {
    jobId: body.job_id,
    ...conversation,
    template: body.template,
    maxTokens: body.max_tokens,
    minTokens: body.min_tokens,
    sampling: samplingIn(body),
    logitBias: logitBiasIn(body),
    ignoreEos: body.ignore_eos,
    stop: body.stop,
    format,
    logprobs: body.logprobs,
    cacheSalt: body.cache_salt,
    ids: body.ids,
    resume: body.resume && resumeOf(body.resume),
    timeoutMs: body.timeout_ms,
    deadline: deadline.at,
    onDisconnect: body.on_disconnect ?? 'cancel',
    ignoredFields: [...unknown, ...ignored, ...besideCalls],
  };
}

const resumeOf = ({ token_ids: ids, index, fingerprint }: NonNullable<ExecuteRequest['resume']>): ResumeOrder => ({
  ids,
  index,
  fingerprint,
});

/** The form of the output. A valid body has at most one. */
function formatOf({ schema, regex, choice }: ExecuteRequest): DemandedFormat | undefined {
  // The body was parsed from JSON.
  if (schema !== undefined) return { format: { kind: 'schema', schema: schema as Json }, field: 'schema' };
  if (regex !== undefined) return { format: { kind: 'regex', pattern: regex }, field: 'regex' };
  return choice && { format: { kind: 'choice', choices: choice }, field: 'choice' };
}

/**
 * Parses an `X-Deadline` header, epoch milliseconds or ISO 8601: its time in epoch milliseconds, or a
 * violation if it has neither form.
 */
export function deadlineOf(header: string | string[] | undefined): {
  readonly at?: number;
  readonly violation?: Violation;
} {
  if (header === undefined) return {};
  const text = String(header).trim();
  const date = /^\d{1,16}$/.test(text)
    ? new Date(Number(text))
    : new Date(/^\d{4}-\d{2}-\d{2}T/.test(text) ? text : Number.NaN);
  if (!Number.isNaN(date.getTime())) return { at: date.getTime() };
  const message = 'X-Deadline must be epoch milliseconds or an ISO 8601 time such as 2026-01-31T12:00:00Z';
  return { violation: { field: 'X-Deadline', constraint: 'format', message, value: shownText(text) } };
}
