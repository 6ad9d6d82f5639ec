/** The facts of a job for its span: numbers and ids. No text of a prompt, a schema or a stop string. */
import { redact } from '../../narration/sanitize.ts';
import type { JobFacts, Operation } from '../../telemetry/traces/gen-ai.ts';
import type { GenerationOrder, Input } from '../order.ts';

/** The parameters are those of the request: the model's defaults are not among them. */
export function traceFacts(order: GenerationOrder, runId: string): JobFacts {
  const { inputs, choices = 1, maxTokens, sampling, format, resume } = order;
  const { temperature, topP, topK, seed, frequencyPenalty, presencePenalty } = sampling;
  const [input] = inputs;
  return {
    operation: input ? operationOf(input) : 'chat',
    // The id that a caller chose can have a token, as in a line of the log.
    jobId: redact(order.jobId),
    runId,
    choices,
    prompts: inputs.length,
    outputType: format?.format.kind === 'json_object' || format?.format.kind === 'schema' ? 'json' : 'text',
    maxTokens,
    temperature,
    topP,
    topK,
    seed,
    frequencyPenalty,
    presencePenalty,
    resumedTokens: resume?.ids.length,
  };
}

/** A text that becomes a user message is a conversation. */
const operationOf = (input: Input): Operation =>
  'messages' in input || ('prompt' in input && !input.raw) ? 'chat' : 'text_completion';
