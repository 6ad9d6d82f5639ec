/**
 * Admits the job of a dialect's request, and answers with its stream or, after its end, with one document.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { v4 as uuid } from 'uuid';
import type { Encoder } from '../../jobs/event-log.ts';
import type { JobEvent } from '../../jobs/job-events.ts';
import type { GenerationOrder } from '../../jobs/order.ts';
import { factsOf } from '../correlation.ts';
import { canRetryHere, NO_RETRY } from '../error-handler.ts';
import { jobHeaders, SSE_HEADERS } from '../sse.ts';
import type { DialectEncoder } from './dialect-encoder.ts';
import type { FamilyParts } from './family.ts';

/** Media type of a document. */
export const JSON_TYPE = 'application/json; charset=utf-8';

/** The id of a new answer, and of its job. @param prefix kind of the id, such as `chatcmpl-` */
export const newAnswerId = (prefix: string): string => prefix + uuid().replaceAll('-', '');

/** A request of a dialect, ready to be admitted. */
export interface DialectJob {
  readonly order: GenerationOrder;
  readonly encoder: DialectEncoder;
  /** True: the answer is a stream. False: the answer is one document, sent when the job has ended. */
  readonly stream: boolean;
}

/**
 * Answers a request. A document has the HTTP status and the retry header of the error if the job fails, and
 * counts as a request that was answered with an error.
 * @throws WorkerError for every error before the job begins
 */
export async function answerJob(
  { admission, metrics }: Pick<FamilyParts, 'admission' | 'metrics'>,
  { order, encoder, stream }: DialectJob,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const watched = watchError(encoder);
  const encoderOf = (): Encoder => (stream ? encoder : watched);
  request.trace?.answersAs(stream);
  const admitted = await admission.admit({ order, facts: factsOf(request), encoderOf }, reply.raw);
  const { subscriber, runId } = admitted;
  if (!stream) await admitted.ended;
  // The client may have left meanwhile.
  if (subscriber.destroyed) return reply.hijack();
  const named = jobHeaders(order.jobId, runId);
  if (stream) return reply.headers({ ...SSE_HEADERS, ...named }).send(subscriber);
  if (watched.error) {
    metrics.failed(watched.error.code);
    if (!canRetryHere(watched.error)) void reply.header(...NO_RETRY);
  }
  return reply
    .code(encoder.status)
    .headers({ 'Content-Type': encoder.contentType ?? JSON_TYPE, ...named })
    .send(subscriber);
}

type ErrorEvent = Extract<JobEvent, { readonly type: 'error' }>;

/** The encoder of a document, which also keeps the error that ended the job. */
function watchError(encoder: DialectEncoder): Encoder & { error?: ErrorEvent } {
  const watched: Encoder & { error?: ErrorEvent } = {
    contentType: encoder.contentType ?? JSON_TYPE,
    encode(event, id) {
      if (event.type === 'error') watched.error = event;
      return encoder.encode(event, id);
    },
  };
  return watched;
}
