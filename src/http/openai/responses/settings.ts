/** The settings of a request, as its answer repeats them. Pure. */

import type { TextFormat } from '../../../contract/openai/format-fields.ts';
import type { ResponseSettings } from '../../../contract/openai/responses/answer.ts';
import type { ResponsesRequest } from '../../../contract/openai/responses/body.ts';
import type { GenerationOrder } from '../../../jobs/order.ts';
import type { SamplingDefaults } from '../../../protocol/sampling.ts';
import { textsIn } from './ignored.ts';
import type { ReadTools } from './tools.ts';

/**
 * The settings that an answer repeats: those of the request, and for absent ones the values that are used.
 * @param defaults the model's sampling parameters
 */
export function settingsOf(
  body: ResponsesRequest,
  { sampling, maxTokens }: Pick<GenerationOrder, 'sampling' | 'maxTokens'>,
  { tools, choice }: Pick<ReadTools, 'tools' | 'choice'>,
  defaults: SamplingDefaults,
): ResponseSettings {
  const { temperature, topP, presencePenalty, frequencyPenalty } = { ...defaults, ...sampling };
  return {
    instructions: body.instructions ?? null,
    max_output_tokens: maxTokens ?? null,
    max_tool_calls: Number.isSafeInteger(body.max_tool_calls) ? Number(body.max_tool_calls) : null,
    metadata: textsIn(body.metadata),
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    prompt_cache_key: textOrNull(body.prompt_cache_key),
    safety_identifier: textOrNull(body.safety_identifier),
    user: textOrNull(body.user),
    reasoning: { effort: body.reasoning?.effort ?? null, summary: null },
    temperature,
    top_p: topP,
    presence_penalty: presencePenalty,
    frequency_penalty: frequencyPenalty,
    top_logprobs: body.top_logprobs ?? 0,
    tools: tools.map(({ name, description, parameters, strict }) => ({
      type: 'function',
      name,
      description: description ?? null,
      parameters: parameters ?? null,
      strict: strict ?? null,
    })),
    tool_choice: typeof choice === 'string' ? choice : { type: 'function', name: choice.name },
    text: { format: formatOf(body.text?.format) },
    truncation: 'disabled',
    background: false,
    store: false,
    service_tier: 'default',
    previous_response_id: null,
  };
}

/** The form as the request has it, without its fields that are null. */
const formatOf = (format: TextFormat | undefined): ResponseSettings['text']['format'] =>
  format?.type === undefined ? { type: 'text' } : format;

const textOrNull = (value: unknown): string | null => (typeof value === 'string' ? value : null);
