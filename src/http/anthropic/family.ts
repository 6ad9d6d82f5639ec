/** The routes of Anthropic's Messages API. Loaded with the first request of this dialect. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { limitsOf } from '../../contract/execute.ts';
import { mostCounted, promptIds } from '../../jobs/prompt-ids.ts';
import { answerJob, newAnswerId } from '../dialect/answer.ts';
import { untilClientLeaves } from '../dialect/client-left.ts';
import type { FamilyHandlers, FamilyParts } from '../dialect/family.ts';
import { narrateIgnored } from '../dialect/ignored-fields.ts';
import { wantsNarration } from '../dialect/narration-option.ts';
import { MessageDocument } from './message-document.ts';
import { MessageStream } from './message-stream.ts';
import { messagesOrder } from './order.ts';

type RouteOfFamily = 'messages' | 'countTokens';

/** The handlers of the family. They throw WorkerErrors for every error before an answer begins. */
export function anthropicFamily(parts: FamilyParts): FamilyHandlers<RouteOfFamily> {
  const { config, admission } = parts;
  const ordered = (request: FastifyRequest) => {
    const loaded = admission.requireReady();
    const limits = limitsOf(config, loaded.facts.context);
    const jobId = newAnswerId('msg_');
    return { loaded, ...messagesOrder(request, { jobId, model: loaded.spec.name, limits }) };
  };
  return {
    messages: async (request: FastifyRequest, reply: FastifyReply) => {
      const { loaded, body, order } = ordered(request);
      const options = {
        id: order.jobId,
        requestId: request.id,
        model: loaded.spec.name,
        narration: wantsNarration(request, body.narration),
      };
      const stream = body.stream === true;
      const encoder = stream ? new MessageStream(options, config.sseKeepalive) : new MessageDocument(options);
      return answerJob(parts, { order, encoder, stream }, request, reply);
    },
    countTokens: async (request: FastifyRequest, reply: FastifyReply) => {
      const { loaded, order } = ordered(request);
      narrateIgnored(order.ignoredFields, request);
      const ids = await untilClientLeaves(reply, (signal) =>
        promptIds(order, loaded, { mostTokens: mostCounted(loaded), signal }),
      );
      return ids === undefined ? reply : reply.send({ input_tokens: ids.length });
    },
  };
}
