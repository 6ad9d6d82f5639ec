/** `POST /v1/completions`: continues texts as one job. */
import { limitsOf } from '../../../contract/execute.ts';
import { COMPLETION_NAMES, CompletionBody } from '../../../contract/openai/completions.ts';
import { answerJob } from '../../dialect/answer.ts';
import type { Handler } from '../../dialect/family.ts';
import { wantsNarration } from '../../dialect/narration-option.ts';
import { requireLength } from '../../dialect/sampling-order.ts';
import { checkAll } from '../../dialect/unknown-fields.ts';
import { answerHead, type OpenAIParts } from '../shared/order.ts';
import { CompletionChunkEncoder } from './chunk-encoder.ts';
import { CompletionDocumentEncoder } from './document-encoder.ts';
import { completionOrder, reportsEnd } from './order.ts';

/**
 * The handler of the route.
 * @throws WorkerError, from the handler, for every error before the job begins
 */
export function completionsHandler(parts: OpenAIParts): Handler['handle'] {
  const { admission, config } = parts;
  return async (request, reply) => {
    const model = admission.requireReady();
    const head = answerHead('cmpl', model, parts);
    const checked = checkAll(CompletionBody, COMPLETION_NAMES, request.body);
    const order = completionOrder(checked, head, request);
    requireLength(order, limitsOf(config, model.facts.context), 'prompt');
    const { value: body } = checked;
    const { stream = false, stream_options: options, narration, n: choices = 1, echo = false } = body;
    const answer = {
      head,
      narrates: wantsNarration(request, narration),
      tokens: model.tokenizer,
      inputs: order.inputs,
      choices,
      scored: order.logprobs !== undefined,
      echo,
      endIds: reportsEnd(body) && !body.ignore_eos ? model.spec.eosIds : [],
    };
    const encoder = stream
      ? new CompletionChunkEncoder({ ...answer, options, keepAlive: config.sseKeepalive })
      : new CompletionDocumentEncoder(answer);
    return answerJob(parts, { order, encoder, stream }, request, reply);
  };
}
