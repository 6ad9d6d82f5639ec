/**
 * Admits the job of a dialect's request, and answers with its stream or, after its end, with one document.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Admission } from '../../jobs/admission.ts';
import type { GenerationOrder } from '../../jobs/order.ts';
import { idsOf } from '../correlation.ts';
import { RUN_HEADER, SSE_HEADERS } from '../sse.ts';
import type { DialectEncoder } from './dialect-encoder.ts';

/** Media type of a document. */
export const JSON_TYPE = 'application/json; charset=utf-8';

/** A request of a dialect, ready to be admitted. */
export interface DialectJob {
  readonly order: GenerationOrder;
  readonly encoder: DialectEncoder;
  /** True: the answer is a stream. False: the answer is one document, sent when the job has ended. */
  readonly stream: boolean;
}

/**
 * Answers a request. A document has the HTTP status of the error if the job fails.
 * @throws WorkerError for every error before the job begins
 */
export async function answerJob(
  admission: Admission,
  { order, encoder, stream }: DialectJob,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const admitted = await admission.admit({ order, ids: idsOf(request), encoderOf: () => encoder }, reply.raw);
  const { subscriber, runId } = admitted;
  if (!stream) await admitted.ended;
  // The client may have left meanwhile.
  if (subscriber.destroyed) return reply.hijack();
  if (stream) return reply.headers({ ...SSE_HEADERS, [RUN_HEADER]: runId }).send(subscriber);
  return reply
    .code(encoder.status)
    .headers({ 'Content-Type': encoder.contentType ?? JSON_TYPE, [RUN_HEADER]: runId })
    .send(subscriber);
}
