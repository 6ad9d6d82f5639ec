/**
 * The chat templates of a model by their names, and the choice of one for a request. A template that cannot
 * be used stays in the list with its reason, so that a request learns the reason. Pure.
 */
import { type Violation, WorkerError } from '../../contract/errors.ts';
import { cut, harmless } from '../../narration/sanitize.ts';
import type { ChatTemplate } from './chat-template.ts';

/** A template that renders, or the reason why it cannot be used. */
export interface NamedTemplate {
  readonly name: string;
  /** File that holds the template, relative to the model's folder. */
  readonly file: string;
  readonly template?: ChatTemplate;
  /** One sentence part, such as `Unknown filter: x`; present if the template cannot be used. */
  readonly reason?: string;
}

/** Name of the template for requests that name none. */
const DEFAULT = 'default';
/** Characters of a name that an error repeats. */
const MAX_NAME = 64;
/** Characters of a reason that an error repeats. */
const MAX_REASON = 500;

export class ChatTemplates {
  readonly all: readonly NamedTemplate[];

  /** @param all templates with different names; empty for a model without a chat template */
  constructor(all: readonly NamedTemplate[]) {
    this.all = all;
  }

  /** True if the model has a template, usable or not. */
  get exist(): boolean {
    return this.all.length > 0;
  }

  /**
   * The template for requests that name none: the one named `default`, or else the only one. Undefined if
   * there is none, and if there are several without that name.
   */
  get fallback(): NamedTemplate | undefined {
    return this.all.find(({ name }) => name === DEFAULT) ?? (this.all.length === 1 ? this.all[0] : undefined);
  }

  /** The names, separated by commas, for a person. */
  get names(): string {
    return this.all.map(({ name }) => shown(name)).join(', ');
  }

  /**
   * The template of a request.
   * @param name value of the field `template`; undefined for the template of requests that name none
   * @throws WorkerError `INVALID_REQUEST` for a name that does not exist, and without a name if the model has
   *   several templates and none is the default; `TEMPLATE_UNUSABLE` with the reason
   */
  choose(name: string | undefined): ChatTemplate {
    const chosen = name === undefined ? this.fallback : this.all.find((one) => one.name === name);
    if (!chosen) throw new WorkerError('INVALID_REQUEST', undefined, { violations: [this.#missing(name)] });
    if (chosen.template && chosen.reason === undefined) return chosen.template;
    throw this.#unusable(chosen);
  }

  #missing(name: string | undefined): Violation {
    const field = 'template';
    if (!this.exist) {
      const message = 'template requires a model with a chat template, and this model has none; leave template out';
      return { field, constraint: 'unsupported', message };
    }
    if (name === undefined) {
      const message = `template must be one of ${this.names}, because no template of this model is named ${DEFAULT}; a prompt with raw: true needs none`;
      return { field, constraint: 'required', message };
    }
    const message = `template must be one of ${this.names}, but is ${JSON.stringify(shown(name))}`;
    return { field, constraint: 'enum', message, value: shown(name) };
  }

  #unusable({ name, file, reason = '' }: NamedTemplate): WorkerError {
    const others = this.all.filter((one) => one.reason === undefined).map((one) => shown(one.name));
    const way = others.length > 0 ? `, or name another template: ${others.join(', ')}` : '';
    const message = `The model's chat template ${shown(name)} in ${shown(file)} cannot be used: ${cut(harmless(reason.slice(0, 2 * MAX_REASON)), MAX_REASON)}. Send a prompt with raw: true${way}.`;
    return new WorkerError('TEMPLATE_UNUSABLE', message, { details: { template: shown(name) } });
  }
}

/** A name from a file or a request, as a sentence repeats it. */
const shown = (name: string): string => cut(harmless(name.slice(0, 2 * MAX_NAME)), MAX_NAME);
