/** The guarantees of one exchange with a route of another server's dialect: its own events and errors. */

import { messagesIn } from '../../src/client/client.ts';
import { hasExactForm } from '../support/sse-form.ts';
import { type Exchange, type Media, schemaProblems } from './document.ts';
import { hasNamedEvents, namedProblems } from './named-events.ts';
import { brokenRules } from './rules.ts';

/** Paths of the routes whose streams and errors do not have the native form. */
const DIALECTS = /^\/(?:v1\/|tokenize\b|detokenize\b|tokenizer_info\b)/;

export const isDialect = (path: string): boolean => DIALECTS.test(path);

/** The problems of the body of an answer. */
export function dialectProblems(type: string, media: Media, { response: { headers, body } }: Exchange): string[] {
  const id = headers['x-correlation-id'];
  const sameId = [headers['x-request-id'] === id, 'X-Request-Id is another id'] as const;
  if (type === 'text/event-stream') {
    const problems = hasNamedEvents(media) ? namedProblems : streamProblems;
    return [...brokenRules(sameId), ...problems(media, body)];
  }
  const value = JSON.parse(body) as Record<string, unknown>;
  const request = value['request_id'];
  const named = [request === undefined || request === id, 'the error has a wrong request id'] as const;
  return [...schemaProblems(media.schema, value), ...brokenRules(sameId, named)];
}

/** A named event, or an event without a name. */
function streamProblems(media: Media, body: string): string[] {
  const { mapping } = (media.schema['discriminator'] ?? {}) as { mapping?: Record<string, string> };
  if (!hasExactForm(body)) return [`not a stream of the worker: ${body}`];
  return messagesIn(body).flatMap(({ id, event: name, data }) => {
    if (id !== undefined) return [`an event with the id ${id}`];
    if (data === '[DONE]') return [];
    const $ref = mapping?.[name ?? ''];
    return schemaProblems($ref === undefined ? media.schema : { $ref }, JSON.parse(data));
  });
}
