/**
 * The attributes of the spans of a request: those of the GenAI semantic conventions v0.1.0
 * (https://github.com/open-telemetry/semantic-conventions-genai/tree/v0.1.0) and of the HTTP conventions, and
 * `rbees.*` for facts that neither has. No attribute has a text of a prompt, an output or a schema: the stop
 * strings of `gen_ai.request.stop_sequences` and the messages stay out. Pure.
 */
import type { Attributes } from './span.ts';

/** The version of the conventions, as the schema URL of the scope. */
export const SCHEMA_URL = 'https://opentelemetry.io/schemas/gen-ai/0.1.0';

export type Operation = 'chat' | 'text_completion';

/** The facts of an HTTP request, before its body is read. */
export interface RequestFacts {
  readonly operation: Operation;
  readonly method: string;
  /** Path of the route; the routes with spans have no parameters. */
  readonly route: string;
  readonly httpVersion: string;
  readonly address: string | undefined;
  readonly port: number | undefined;
  readonly correlationId: string;
}

/** The facts of an accepted job. Numbers that the request does not give are undefined. */
export interface JobFacts {
  readonly operation: Operation;
  readonly jobId: string;
  readonly runId: string;
  readonly choices: number;
  readonly prompts: number;
  readonly outputType: 'text' | 'json';
  readonly maxTokens?: number | undefined;
  readonly temperature?: number | undefined;
  readonly topP?: number | undefined;
  readonly topK?: number | undefined;
  readonly seed?: number | undefined;
  readonly frequencyPenalty?: number | undefined;
  readonly presencePenalty?: number | undefined;
  /** Tokens of the output that an earlier worker has generated. */
  readonly resumedTokens?: number | undefined;
}

/** The facts of a job that has ended. */
export interface EndFacts {
  readonly outcome: 'success' | 'error' | 'cancelled' | 'timeout';
  /** Code of the error in the stream or the document. */
  readonly errorCode?: string | undefined;
  readonly tokensIn: number;
  readonly tokensOut: number;
  readonly tokensCached?: number | undefined;
  readonly reasoningTokens: number;
  /** Why each output has ended; empty if the job was not successful. */
  readonly finishes: readonly OutputEnd[];
}

export type OutputEnd = 'eos' | 'stop_sequence' | 'max_tokens' | 'tool_calls';

const FINISH_REASONS: Readonly<Record<OutputEnd, string>> = {
  eos: 'stop',
  stop_sequence: 'stop',
  max_tokens: 'length',
  tool_calls: 'tool_calls',
};

export const requestAttributes = (facts: RequestFacts, model: string): Attributes => ({
  'gen_ai.operation.name': facts.operation,
  'gen_ai.provider.name': 'rbees',
  'gen_ai.request.model': model,
  'http.request.method': facts.method,
  'http.route': facts.route,
  'url.path': facts.route,
  'url.scheme': 'http',
  'network.protocol.version': facts.httpVersion,
  'server.address': facts.address,
  'server.port': facts.port,
  'rbees.correlation_id': facts.correlationId,
});

export const jobAttributes = (facts: JobFacts, model: string): Attributes => ({
  'gen_ai.operation.name': facts.operation,
  'gen_ai.output.type': facts.outputType,
  'gen_ai.request.choice.count': facts.choices > 1 ? facts.choices : undefined,
  'gen_ai.request.max_tokens': facts.maxTokens,
  'gen_ai.request.temperature': facts.temperature,
  'gen_ai.request.top_p': facts.topP,
  'gen_ai.request.top_k': facts.topK,
  'gen_ai.request.seed': facts.seed,
  'gen_ai.request.frequency_penalty': facts.frequencyPenalty,
  'gen_ai.request.presence_penalty': facts.presencePenalty,
  'gen_ai.response.id': facts.jobId,
  'gen_ai.response.model': model,
  'rbees.job_id': facts.jobId,
  'rbees.run_id': facts.runId,
  'rbees.prompt_count': facts.prompts > 1 ? facts.prompts : undefined,
  'rbees.resumed_tokens': facts.resumedTokens,
});

export const endAttributes = (facts: EndFacts): Attributes => ({
  'gen_ai.response.finish_reasons':
    facts.finishes.length > 0 ? facts.finishes.map((finish) => FINISH_REASONS[finish]) : undefined,
  'gen_ai.usage.input_tokens': facts.tokensIn,
  'gen_ai.usage.output_tokens': facts.tokensOut,
  'gen_ai.usage.cache_read.input_tokens': facts.tokensCached,
  'gen_ai.usage.reasoning.output_tokens': facts.reasoningTokens > 0 ? facts.reasoningTokens : undefined,
});
