/** The response object of one job, which its stream repeats and its document is. */
import type { ResponseSettings, ResponsesAnswer } from '../../../contract/openai/responses/answer.ts';
import type { ChoiceEndEvent, JobEvent, TokenEvent } from '../../../jobs/job-events.ts';
import type { TokenForms } from '../../../text/tokenizer/token-form.ts';
import type { JobError } from '../../dialect/dialect-encoder.ts';
import { openAIJobError } from '../errors.ts';
import { type Report, ResponseOutput } from './output.ts';

/** The facts of a response from before its job. */
export interface ResponseFacts {
  /** `resp_…`; also the id of the job. */
  readonly id: string;
  readonly model: string;
  readonly settings: ResponseSettings;
  readonly tokens: TokenForms;
}

type Outcome = Pick<ResponsesAnswer, 'status' | 'incomplete_details' | 'error' | 'completed_at' | 'usage'>;
type EndEvent = Extract<JobEvent, { readonly type: 'end' }>;

const RUNNING: Outcome = {
  status: 'in_progress',
  incomplete_details: null,
  error: null,
  completed_at: null,
  usage: null,
};
const seconds = (ms: number): number => Math.floor(ms / 1000);

export class ResponseState {
  readonly #facts: ResponseFacts;
  readonly #output: ResponseOutput;
  #createdAt = 0;
  #reasoningTokens = 0;

  /** @param report receives the events of the items */
  constructor(facts: ResponseFacts, report: Report) {
    this.#facts = facts;
    this.#output = new ResponseOutput(facts.id, facts.tokens, report);
  }

  /** The job was accepted at this time. */
  begin(startedAt: string): ResponsesAnswer {
    this.#createdAt = seconds(Date.parse(startedAt));
    return this.current();
  }

  add(event: TokenEvent): void {
    this.#output.add(event);
  }

  /** Reports a piece without text of the open item. Returns false if no item is open. */
  touch(report: Report): boolean {
    return this.#output.touch(report);
  }

  /** The output has ended. */
  close({ reason, reasoningTokens }: ChoiceEndEvent): void {
    this.#reasoningTokens = reasoningTokens;
    this.#output.close(reason === 'max_tokens' ? 'incomplete' : 'completed');
  }

  /** The response at this moment. */
  current(): ResponsesAnswer {
    return this.#answer(RUNNING, 'in_progress');
  }

  /** The response of a complete job. */
  complete({
    stop_reason: reason,
    tokens_in: input,
    tokens_out: output,
    cached_tokens: cached,
  }: EndEvent): ResponsesAnswer {
    const usage = {
      input_tokens: input,
      input_tokens_details: { cached_tokens: cached },
      output_tokens: output,
      output_tokens_details: { reasoning_tokens: this.#reasoningTokens },
      total_tokens: input + output,
    };
    if (reason === 'max_tokens')
      return this.#answer(
        { ...RUNNING, status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' }, usage },
        'incomplete',
      );
    return this.#answer({ ...RUNNING, status: 'completed', completed_at: seconds(Date.now()), usage }, 'completed');
  }

  /** The response of a job that an error ended. */
  fail(error: JobError): ResponsesAnswer {
    const { code, message } = openAIJobError(error);
    return this.#answer({ ...RUNNING, status: 'failed', error: { code, message } }, 'incomplete');
  }

  #answer(outcome: Outcome, open: 'in_progress' | 'completed' | 'incomplete'): ResponsesAnswer {
    const { id, model, settings } = this.#facts;
    return {
      id,
      object: 'response',
      created_at: this.#createdAt,
      ...outcome,
      model,
      output: [...this.#output.items(open)],
      ...settings,
    };
  }
}
