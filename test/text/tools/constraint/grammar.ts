/** Grammars of outputs of the families, and random texts of them. */
import { Budget } from '../../../../src/grammar/budget.ts';
import { addFormat } from '../../../../src/grammar/compile.ts';
import type { GrammarError } from '../../../../src/grammar/grammar-error.ts';
import type { Program } from '../../../../src/grammar/program.ts';
import { ProgramBuilder } from '../../../../src/grammar/program-builder.ts';
import type { ChatMessage, FunctionTool, Json } from '../../../../src/text/template/conversation.ts';
import { addCalls } from '../../../../src/text/tools/constraint/add-calls.ts';
import type { CallsSource } from '../../../../src/text/tools/constraint/source.ts';
import { type Dialogue, type OutputUse, prepareDialogue } from '../../../../src/text/tools/dialogue.ts';
import { profileOf } from '../../../../src/text/tools/profile.ts';
import { sample } from '../../../support/grammar/sampler.ts';
import { familyTemplate, type Read, readAll } from '../families.ts';

/** The ids of special tokens follow those of the bytes. */
export const FIRST_SPECIAL = 256;
/** A clock that never runs out: budgets of tests count states only. */
const STILL = (): number => 0;

export interface Constrained {
  readonly dialogue: Dialogue;
  readonly program: Program;
  readonly tokens: ReadonlyMap<number, string>;
  /** Tools whose schema is not enforced. */
  readonly loose: readonly [index: number, reason: GrammarError][];
}

export interface Wish {
  readonly tools?: readonly FunctionTool[];
  readonly use: OutputUse;
  /** The markers of the format that are special tokens: all that look like one, or none. */
  readonly special?: boolean;
  readonly messages?: readonly ChatMessage[];
  readonly variables?: Readonly<Record<string, Json>>;
  readonly answerStart?: string;
}

/** The grammar of an output; throws if the output is free. */
export function constrained(family: string, wish: Wish): Constrained {
  const { tools = [], use, special = false, messages = [{ role: 'user', content: 'Q' }], ...rest } = wish;
  const template = familyTemplate(family);
  const dialogue = prepareDialogue(profileOf(template), template, { messages, tools, ...rest }, use);
  if (!dialogue.grammar) throw new Error('The output is free.');
  const markers = special ? dialogue.markers.filter((marker) => /^[<[]\S*[>\]]$/.test(marker)) : [];
  const specialIds = Object.fromEntries(markers.map((marker, at) => [marker, FIRST_SPECIAL + at]));
  const tokens = new Map(Object.entries(specialIds).map(([text, id]) => [id, text]));
  const loose: [number, GrammarError][] = [];
  const program = programOf({ ...dialogue.grammar, specialIds }, loose);
  return { dialogue, program, tokens, loose };
}

/** The program of a source. */
export function programOf(source: CallsSource, loose: [number, GrammarError][]): Program {
  const builder = new ProgramBuilder(new Budget(STILL));
  const onLoose = (index: number, reason: GrammarError): void => {
    loose.push([index, reason]);
  };
  const root = addCalls(builder, source, { addFormat: (to, format) => addFormat(to, format, {}), onLoose });
  return builder.program(root);
}

/** A random text of a grammar. */
export const textOf = ({ program, tokens }: Constrained, random: () => number): string =>
  sample(program, { random, tokenText: (id) => tokens.get(id) ?? '', size: 200 });

/** The parts that the reader finds in an output. */
export const readOf = ({ dialogue }: Constrained, text: string): Read => readAll(dialogue.parser(), [text], true);
