/**
 * A chat template, parsed once and rendered many times. Renders as the transformers library does: Jinja 3.1
 * in Python's sandbox, with `trim_blocks`, `lstrip_blocks`, `raise_exception`, `strftime_now` and `range` up
 * to 100 000. A template can read only its variables; its time and its strings are limited. Pure, except for
 * the clock.
 */
import { Environment, parse, type Statement, tokenize } from '@huggingface/jinja';
import { PythonInterpreter } from './jinja-interpreter.ts';
import { toText } from './jinja-values.ts';
import { strftime } from './python-text.ts';
import { MAX_RENDER, type RenderLimits } from './render-limits.ts';

/** Same limit as Jinja's sandbox (`MAX_RANGE`). */
const MAX_RANGE = 100_000;

export class JinjaTemplate {
  readonly #program: Statement;

  /** @throws Error if the source is not a valid template. */
  constructor(source: string) {
    // Jinja reads CR LF as one line end and drops the last line end of a template.
    const text = source.replaceAll(/\r\n?/g, '\n').replaceAll(GENERATION, asFilter);
    this.#program = parse(tokenize(text, { lstrip_blocks: true, trim_blocks: true }));
  }

  /**
   * @param variables strings, numbers, booleans, null, and lists and objects of them
   * @throws RenderBudgetError if a limit is reached, or Error if the template refuses its variables (message of
   * `raise_exception`) or fails.
   */
  render(variables: Readonly<Record<string, unknown>>, limits: RenderLimits = MAX_RENDER): string {
    const environment = new Environment();
    for (const [name, value] of Object.entries({ ...GLOBALS, ...variables })) environment.set(name, value);
    return toText(new PythonInterpreter(environment, limits).evaluate(this.#program, environment));
  }
}

/**
 * Finds `generation` tags. The library deletes these tags, so variables set inside the block would stay
 * visible after it. A filter block that changes nothing keeps the scope.
 */
const GENERATION = /(\{%[-+]?\s*)(end)?generation(?=\s*[-+]?%\})/g;

function asFilter(_: string, opening: string, ends: string | undefined): string {
  return ends === undefined ? `${opening}filter string` : `${opening}endfilter`;
}

const GLOBALS: Readonly<Record<string, unknown>> = {
  ...{ true: true, True: true, false: false, False: false, none: null, None: null },
  range,
  raise_exception: (message: unknown) => {
    throw new Error(String(message));
  },
  strftime_now: (format: unknown) => strftime(new Date(), String(format)),
};

function range(first: number, second?: number, step = 1): number[] {
  const [from, to] = second === undefined ? [0, first] : [first, second];
  const length = step === 0 ? Number.NaN : Math.max(0, Math.ceil((to - from) / step));
  if (!(length <= MAX_RANGE)) throw new Error(`range() is limited to ${MAX_RANGE} numbers`);
  return Array.from({ length }, (_, at) => from + at * step);
}
