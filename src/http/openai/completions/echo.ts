/** The prompts of a completion as the beginnings of its texts, for `echo`. */

import type { PromptEvent, ScoresEvent } from '../../../jobs/job-events.ts';
import type { Input } from '../../../jobs/order.ts';
import { type CompletionTokens, ScoreLists } from './scores.ts';

/** The beginning of the choices of one prompt. */
export interface Beginning {
  readonly text: string;
  /** Absent without log-probabilities. */
  readonly scores?: ScoreLists;
}

export class Echo {
  readonly #inputs: readonly Input[];
  readonly #tokenizer: CompletionTokens;
  readonly #beginnings: Beginning[] = [];
  readonly #scored: boolean;

  /** @param scored true if the tokens of the prompts are reported */
  constructor(inputs: readonly Input[], tokenizer: CompletionTokens, scored: boolean) {
    this.#inputs = inputs;
    this.#tokenizer = tokenizer;
    this.#scored = scored;
  }

  /** Takes the ids of a prompt. The first one has no log-probability. */
  prompt({ prompt, ids }: PromptEvent): void {
    const input = this.#inputs[prompt];
    const text = input && 'prompt' in input ? input.prompt : this.#tokenizer.decode(ids);
    const [first] = ids;
    const scores = this.#scored ? new ScoreLists(this.#tokenizer) : undefined;
    if (first !== undefined) scores?.add({ id: first });
    this.#beginnings[prompt] = { text, ...(scores && { scores }) };
  }

  /** Takes the log-probabilities of the next tokens of a prompt. */
  scores({ prompt, scores }: ScoresEvent): void {
    for (const score of scores) this.#beginnings[prompt]?.scores?.add(score);
  }

  /** The beginning of the choices of a prompt. */
  of(prompt: number): Beginning {
    return this.#beginnings[prompt] ?? { text: '' };
  }
}
