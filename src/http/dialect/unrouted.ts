/**
 * Errors of requests that have no route. A path below `/v1/` gets the shape of its dialect, because the
 * client of that dialect reads the error.
 */
import type { FastifyRequest } from 'fastify';
import type { WorkerError } from '../../contract/errors.ts';
import { ROUTES } from '../../contract/routes.ts';
import { anthropicErrors } from '../anthropic/errors.ts';
import type { ErrorFormatter } from '../error-handler.ts';
import { sendError } from '../native/errors.ts';
import { openAIError } from '../openai/errors.ts';
import { statusOf } from './refusal.ts';

/** A path, also behind the host of an absolute target (RFC 9112, 3.2.2). */
const MESSAGES = /^(?:https?:\/\/[^/?#]*)?\/v1\/messages(?![^/?#])/i;
const DIALECTS = /^(?:https?:\/\/[^/?#]*)?\/v1\//i;

/** Writes an error in the shape that belongs to the path. */
export const unroutedErrors: ErrorFormatter = (error, request, reply) => {
  const path = request.raw.url ?? '';
  const isMessages = MESSAGES.test(path);
  if (!isMessages && !DIALECTS.test(path)) return sendError(error, request, reply);
  const { requestIds } = isMessages ? ROUTES.messages : ROUTES.models;
  for (const name of requestIds) void reply.header(name, request.id);
  return isMessages ? anthropicErrors(error, request, reply) : openAIUnrouted(error, request, reply);
};

/** An error of OpenAI's dialect. Its code for an absent model would mislead the client. */
const openAIUnrouted: ErrorFormatter = (error: WorkerError, _request: FastifyRequest, reply) => {
  const code = error.code === 'NOT_FOUND' ? { code: 'not_found' } : {};
  return reply
    .code(statusOf(error))
    .type('application/json; charset=utf-8')
    .send({ error: { ...openAIError(error), ...code } });
};
