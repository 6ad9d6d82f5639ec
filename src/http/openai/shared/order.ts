/** The parts of an order and of an answer that the routes of OpenAI's dialect build in the same way. */
import type { FastifyRequest } from 'fastify';
import type { sharedFields } from '../../../contract/openai/fields.ts';
import { logitBiasIn } from '../../../contract/sampling-fields.ts';
import type { GenerationOrder } from '../../../jobs/order.ts';
import type { LoadedModel } from '../../../lifecycle/load-model.ts';
import { newAnswerId } from '../../dialect/answer.ts';
import { invalidField } from '../../dialect/check.ts';
import type { FamilyParts } from '../../dialect/family.ts';
import { deadlineOrder, samplingOrder } from '../../dialect/sampling-order.ts';

/** The parts of the worker that the routes use. */
export interface OpenAIParts extends FamilyParts {
  readonly identity: { readonly version: string; readonly startedAt: string };
}

type Output<T> = { readonly [N in keyof T]: T[N] extends { readonly _output: infer O } ? O : never };
/** The checked fields that chat completions, completions and responses share. */
export type SharedBody = Partial<Output<ReturnType<typeof sharedFields>>>;

/** The facts that every chunk and every document of an answer repeats. */
export interface AnswerHead {
  /** Id of the answer and of its job. */
  readonly id: string;
  /** Seconds since 1970. */
  readonly created: number;
  readonly model: string;
  /** Changes when the same seed may draw other tokens: with the version, the weights or the device. */
  readonly system_fingerprint: string;
}

/** The head of a new answer. @param prefix kind of the id, such as `chatcmpl` */
export function answerHead(prefix: string, { spec, dtype, facts }: LoadedModel, { identity }: OpenAIParts): AnswerHead {
  return {
    id: newAnswerId(`${prefix}-`),
    created: Math.floor(Date.now() / 1000),
    model: spec.name,
    system_fingerprint: `fp_${identity.version}_${dtype}_${facts.device}`,
  };
}

/**
 * The fields of an order that the routes take from their bodies in the same way.
 * @param maxTokens the maximum that counts
 * @throws WorkerError `INVALID_REQUEST`
 */
export function sharedOrder(body: SharedBody, maxTokens: number | undefined, request: FastifyRequest) {
  const { min_tokens: minTokens } = body;
  if (minTokens !== undefined && maxTokens !== undefined && minTokens > maxTokens) {
    const message = `min_tokens must be at most the maximum number of tokens, ${maxTokens}, but is ${minTokens}`;
    throw invalidField('min_tokens', 'maximum', message);
  }
  return {
    choices: body.n,
    maxTokens,
    minTokens,
    ignoreEos: body.ignore_eos,
    sampling: samplingOrder(body),
    logitBias: logitBiasIn(body),
    cacheSalt: body.cache_salt,
    stop: stopsOf(body.stop),
    timeoutMs: body.timeout_ms,
    deadline: deadlineOrder(request),
    onDisconnect: 'cancel',
  } as const satisfies Partial<GenerationOrder>;
}

/** The stop strings without empty ones, which some clients send for none. */
function stopsOf(stop: string | readonly string[] | undefined): readonly string[] | undefined {
  if (stop === undefined) return undefined;
  return (typeof stop === 'string' ? [stop] : stop).filter((one) => one !== '');
}

/** Names of fields without an effect, for the narration: unknown ones, and the name of another model. */
export function ignoredNames(body: SharedBody, unknown: readonly string[], model: string): readonly string[] {
  const names = [...unknown];
  if (body.model !== undefined && body.model !== model) names.push('model');
  if (body.stream !== true && body.stream_options !== undefined) names.push('stream_options');
  return names;
}

/**
 * Refuses a field that would change the output in a way that the worker does not support.
 * @param remedy end of the sentence, a clause for a person
 * @throws WorkerError `INVALID_REQUEST` if the body has the field with a value
 */
export function refuseField(body: object, name: string, remedy: string): void {
  const value: unknown = (body as Record<string, unknown>)[name];
  const isEmpty = value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0);
  if (!isEmpty) throw invalidField(name, 'unsupported', `${name} is not supported: ${remedy}`);
}
