/** POST /v1/responses: runs one job, and answers with a stream or a document of OpenAI's Responses API. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { limitsOf } from '../../../contract/execute.ts';
import { RESPONSES_FIELDS, ResponsesBody } from '../../../contract/openai/responses/body.ts';
import { answerJob, newAnswerId } from '../../dialect/answer.ts';
import type { FamilyParts } from '../../dialect/family.ts';
import { wantsNarration } from '../../dialect/narration-option.ts';
import { checkAll } from '../../dialect/unknown-fields.ts';
import { ResponsesDocumentEncoder } from './document-encoder.ts';
import { namingInput, responsesOrder } from './order.ts';
import { settingsOf } from './settings.ts';
import { ResponsesStreamEncoder } from './stream-encoder.ts';
import { readTools } from './tools.ts';

/**
 * The handler of the route.
 * @throws WorkerError, from the handler, for every error before the job begins
 */
export function responsesHandler(parts: FamilyParts) {
  const { config, admission } = parts;
  return (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const { spec, facts, tokenizer } = admission.requireReady();
    const checked = checkAll(ResponsesBody, RESPONSES_FIELDS, request.body);
    const { value: body } = checked;
    const id = newAnswerId('resp_');
    const tools = readTools(body.tools ?? [], body.tool_choice);
    const order = responsesOrder(checked, request, {
      id,
      model: spec.name,
      limits: limitsOf(config, facts.context),
      tools,
    });
    const settings = settingsOf(body, order, tools, spec.sampling);
    const response = { id, model: spec.name, settings, tokens: tokenizer };
    const options = { correlationId: request.id, narration: wantsNarration(request, body.narration) };
    const stream = body.stream === true;
    const encoder = stream
      ? new ResponsesStreamEncoder(response, { ...options, keepAlive: config.sseKeepalive })
      : new ResponsesDocumentEncoder(response, options);
    return namingInput(answerJob(parts, { order, encoder, stream }, request, reply));
  };
}
