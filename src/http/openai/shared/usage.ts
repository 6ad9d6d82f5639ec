/** Counts the tokens of a job for `usage`. */
import type { JobEvent } from '../../../jobs/job-events.ts';

/** The tokens of an answer, in the form of OpenAI. */
export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details: { readonly cached_tokens: number };
  readonly completion_tokens_details: { readonly reasoning_tokens: number };
}

export class UsageCounter {
  #prompt = 0;
  #completion = 0;
  #cached = 0;
  #reasoning = 0;

  /** Call for every event of the job, in order. */
  count(event: JobEvent): void {
    if (event.type === 'token') this.#completion = event.tokensOut ?? this.#completion;
    else if (event.type === 'prompt') this.#prompt += event.ids.length;
    else if (event.type === 'choice_end') this.#reasoning += event.reasoningTokens;
    else if (event.type === 'end') {
      this.#completion = event.tokens_out;
      this.#cached = event.cached_tokens;
    }
  }

  /** The counts so far, as JSON: all that is known within a stream. */
  get soFar(): string {
    const [prompt, completion] = [this.#prompt, this.#completion];
    return `{"prompt_tokens":${prompt},"completion_tokens":${completion},"total_tokens":${prompt + completion}}`;
  }

  /** The counts of a complete job. */
  get total(): Usage {
    return {
      prompt_tokens: this.#prompt,
      completion_tokens: this.#completion,
      total_tokens: this.#prompt + this.#completion,
      prompt_tokens_details: { cached_tokens: this.#cached },
      completion_tokens_details: { reasoning_tokens: this.#reasoning },
    };
  }
}
