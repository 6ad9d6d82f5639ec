/**
 * A chat template, parsed once and rendered many times. Renders as the transformers library does: Jinja 3.1
 * in Python's sandbox, with `trim_blocks`, `lstrip_blocks`, `raise_exception`, `strftime_now` and `range` up
 * to 100 000. A template can read only its variables; its time and its strings are limited. Pure, except for
 * the clock.
 */
import { Environment, parse, type Statement, type Value } from '@huggingface/jinja';
import { ITEM_UNITS, MAX_ARGUMENT, MAX_RENDER, RenderBudgetError, type RenderLimits } from '../render-limits.ts';
import { PythonInterpreter } from './jinja-interpreter.ts';
import { tokensOf } from './jinja-source.ts';
import * as values from './jinja-values.ts';
import { strftime } from './python-text.ts';

/** Same limit as Jinja's sandbox (`MAX_RANGE`). */
export const MAX_RANGE = 100_000;

export class JinjaTemplate {
  readonly #program: Statement;

  /** @throws Error if the source is not a valid template. */
  constructor(source: string) {
    this.#program = parse(tokensOf(source));
  }

  /**
   * @param variables strings, numbers, booleans, null, and lists and objects of them
   * @throws RenderBudgetError if a limit is reached, or Error if the template refuses its variables (message
   * of `raise_exception`) or fails.
   */
  render(variables: Readonly<Record<string, unknown>>, limits: RenderLimits = MAX_RENDER): string {
    const environment = new Environment();
    for (const [name, value] of Object.entries({ ...CONSTANTS, ...variables })) environment.set(name, value);
    const functions = { ...FUNCTIONS, range: rangeUnder(limits) };
    for (const [name, call] of Object.entries(functions)) environment.setVariable(name, values.callable(call));
    return values.toText(new PythonInterpreter(environment, limits).evaluate(this.#program, environment));
  }
}

const CONSTANTS = { true: true, True: true, false: false, False: false, none: null, None: null };

/** Functions of a template. They print their arguments by `toText`, which is bounded. */
const FUNCTIONS: Readonly<Record<string, (args: readonly Value[]) => Value>> = {
  raise_exception: ([message]) => {
    throw new Error(message && values.toText(message));
  },
  strftime_now: ([format]) => {
    const text = format ? values.toText(format) : '';
    if (text.length > MAX_ARGUMENT) throw new Error(`a date format is longer than ${MAX_ARGUMENT} characters`);
    return values.string(strftime(new Date(), text));
  },
};

/** `range()`. A short argument makes a long list, so the limits are checked before the list exists. */
function rangeUnder({ text }: RenderLimits): (args: readonly Value[]) => Value {
  return (args) => {
    const numbers = args.map(values.numberOf);
    const [first = Number.NaN, second, step = 1] = numbers;
    const [from, to] = numbers.length < 2 ? [0, first] : [first, second ?? Number.NaN];
    const length = step === 0 ? Number.NaN : Math.max(0, Math.ceil((to - from) / step));
    if (!(length <= MAX_RANGE)) throw new Error(`range() is limited to ${MAX_RANGE} numbers`);
    if (length * ITEM_UNITS > text) throw new RenderBudgetError(`a range is longer than ${text} characters`);
    return values.list(Array.from({ length }, (_, at) => numberValue(from + at * step)));
  };
}

function numberValue(value: number): Value {
  return Number.isInteger(value) ? values.int(value) : values.float(value);
}
