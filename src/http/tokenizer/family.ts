/** The tokenizer routes, in the form of vLLM's. Loaded with the first of their requests. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { limitsOf } from '../../contract/execute.ts';
import { mostCounted, promptIds } from '../../jobs/prompt-ids.ts';
import { untilClientLeaves } from '../dialect/client-left.ts';
import type { FamilyHandlers, FamilyParts } from '../dialect/family.ts';
import { requireLength } from '../dialect/sampling-order.ts';
import { decodeIds } from './decode-ids.ts';
import { detokenizeIds, tokenizeInput } from './inputs.ts';

/**
 * The least maximum of the characters of `POST /tokenize`, with `--max-prompt-chars auto`. A text may be
 * longer than the context: evaluations convert whole documents and cut their ids. The thread of the tokenizer
 * takes half a second for so many characters of English.
 */
export const LEAST_AUTO_CHARS = 2 ** 17;

type RouteOfFamily = 'tokenize' | 'detokenize' | 'tokenizerInfo';

/** The handlers of the family. They throw WorkerErrors. */
export function tokenizerFamily({ config, admission }: FamilyParts): FamilyHandlers<RouteOfFamily> {
  const charsFor = (context: number): number => {
    const { promptChars } = limitsOf(config, context);
    return config.maxPromptChars === 'auto' ? Math.max(LEAST_AUTO_CHARS, promptChars) : promptChars;
  };
  return {
    tokenize: async (request: FastifyRequest, reply: FastifyReply) => {
      const model = admission.requireReady();
      const { body, order } = tokenizeInput(request, model);
      const field = body.messages ? 'messages' : 'prompt';
      requireLength(order, { promptChars: charsFor(model.facts.context) }, field);
      const addSpecialTokens = body.add_special_tokens ?? !body.messages;
      const ids = await untilClientLeaves(reply, (signal) =>
        promptIds(order, model, { mostTokens: mostCounted(model), signal, addSpecialTokens }),
      );
      if (ids === undefined) return reply;
      const strings = body.return_token_strs && ids.map((id) => model.tokenizer.tokenOf(id) ?? '');
      return reply.send({
        tokens: ids,
        count: ids.length,
        max_model_len: model.facts.context,
        ...(strings && { token_strs: strings }),
      });
    },
    detokenize: async (request: FastifyRequest, reply: FastifyReply) => {
      const model = admission.requireReady();
      const ids = detokenizeIds(request, model);
      const prompt = await untilClientLeaves(reply, (signal) => decodeIds(ids, model.tokenizer.complete, signal));
      return prompt === undefined ? reply : reply.send({ prompt });
    },
    tokenizerInfo: async (_: FastifyRequest, reply: FastifyReply) => {
      const { spec, facts, templates } = admission.requireReady();
      const { named } = spec.tokens;
      return reply.send({
        tokenizer_class: spec.tokenizerKind,
        vocab_size: spec.vocabSize,
        model_max_length: facts.context,
        eos_token: named['eos_token'] ?? null,
        bos_token: named['bos_token'] ?? null,
        pad_token: named['pad_token'] ?? null,
        unk_token: named['unk_token'] ?? null,
        chat_template: templates.fallback?.template?.source.text ?? null,
      });
    },
  };
}
