/** `POST /v1/chat/completions`: runs a chat as a job. */
import { limitsOf } from '../../../contract/execute.ts';
import { CHAT_NAMES, ChatBody } from '../../../contract/openai/chat.ts';
import { answerJob } from '../../dialect/answer.ts';
import type { Handler } from '../../dialect/family.ts';
import { wantsNarration } from '../../dialect/narration-option.ts';
import { requireLength } from '../../dialect/sampling-order.ts';
import { checkAll } from '../../dialect/unknown-fields.ts';
import { answerHead, type OpenAIParts } from '../shared/order.ts';
import { ChatChunkEncoder } from './chunk-encoder.ts';
import { ChatDocumentEncoder } from './document-encoder.ts';
import { chatOrder } from './order.ts';

/**
 * The handler of the route.
 * @throws WorkerError, from the handler, for every error before the job begins
 */
export function chatHandler(parts: OpenAIParts): Handler['handle'] {
  const { admission, config } = parts;
  return async (request, reply) => {
    const model = admission.requireReady();
    const head = answerHead('chatcmpl', model, parts);
    const checked = checkAll(ChatBody, CHAT_NAMES, request.body);
    const order = chatOrder(checked, head, request);
    requireLength(order, limitsOf(config, model.facts.context), 'messages');
    const { stream = false, stream_options: options, narration, n: choices = 1 } = checked.value;
    const answer = { head, narrates: wantsNarration(request, narration), tokens: model.tokenizer };
    const encoder = stream
      ? new ChatChunkEncoder({ ...answer, options, keepAlive: config.sseKeepalive })
      : new ChatDocumentEncoder({ ...answer, choices, scored: order.logprobs !== undefined });
    return answerJob(parts, { order, encoder, stream }, request, reply);
  };
}
