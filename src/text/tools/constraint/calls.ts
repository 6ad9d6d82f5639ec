/** Calls with the markers around them as a grammar. Pure. */
import type { NodeId } from '../../../grammar/program.ts';
import type { CallFormat } from '../output-profile.ts';
import type { CallArguments } from './arguments.ts';
import type { CallsSource } from './source.ts';
import { textsOf, type Writer } from './writer.ts';

/** The part of a call that the prompt holds. */
type Begun = 'nothing' | 'opening' | 'name';

/** An id that the model writes into its call: Mistral has nine characters. */
const CALL_ID = '[A-Za-z0-9]{9}';
/** The number of a call in its conversation. */
const CALL_NUMBER = '[0-9]{1,4}';

export class Calls {
  readonly #writer: Writer;
  readonly #source: CallsSource;
  readonly #arguments: CallArguments;
  readonly #texts: CallTexts;

  constructor(writer: Writer, source: CallsSource, callArguments: CallArguments) {
    this.#writer = writer;
    this.#source = source;
    this.#arguments = callArguments;
    this.#texts = callTexts(source.calls);
  }

  /** One call, or several, from a place in the first one on to the last marker. */
  all(begun: Begun): NodeId {
    const { calls: format, parallel } = this.#source;
    const writer = this.#writer;
    const { list, sectionOpen, sectionClose } = format;
    const start = begun === 'nothing' ? format.opening : '';
    const items = [...(start === '' ? [] : [writer.text(start)]), this.#call(begun === 'name')];
    const wrapped = format.style === 'json' && format.wrapper !== undefined;
    if (parallel && format.parallel) {
      const comma = list || wrapped;
      const gap = comma ? writer.sequence(writer.text(','), writer.space) : writer.lineBreak;
      const isAlone = !comma && sectionOpen === '' && format.callOpen === '';
      const next = writer.sequence(gap, writer.text(this.#texts.before), this.#call(false));
      // Without markers, the reader cannot tell a second object from an answer.
      if (!isAlone) items.push(writer.repeat(next));
    }
    if (list) items.push(writer.text(']'));
    if (wrapped) items.push(writer.text(']}'));
    if (sectionClose !== '') items.push(writer.lineBreak, writer.text(sectionClose));
    return writer.sequence(...items);
  }

  /** The call from its name, or from its arguments, to its end. */
  #call(named: boolean): NodeId {
    const { tools, choice } = this.#source;
    const writer = this.#writer;
    const allowed = typeof choice === 'object' ? tools.filter(({ name }) => name === choice.name) : tools;
    const calls = allowed.map((tool) => {
      const after = this.#afterName(named);
      const values = this.#arguments.of(tools.indexOf(tool));
      return named ? writer.sequence(after, values) : writer.sequence(writer.text(tool.name), after, values);
    });
    const { callClose } = this.#source.calls;
    const close = callClose === '' ? [] : [writer.lineBreak, writer.text(callClose)];
    return writer.sequence(writer.choice(...calls), writer.text(this.#texts.behind), ...close);
  }

  /** The text between a name and the arguments. */
  #afterName(named: boolean): NodeId {
    const { calls: format } = this.#source;
    const writer = this.#writer;
    if (format.style === 'json')
      return named ? writer.space : writer.sequence(writer.text(format.afterName), writer.space);
    if (format.style !== 'named') return named ? writer.sequence() : writer.text(format.afterName);
    const { idMarker, separator, afterName, nameInId } = format;
    if (idMarker !== '') {
      const rest = [this.#chars(CALL_ID), writer.text(separator)];
      return writer.sequence(...(named ? [] : [writer.text(afterName)]), ...rest);
    }
    if (named) return writer.sequence();
    if (!nameInId) return writer.text(afterName);
    // The number of the first call is 0, as `afterName` has it.
    const behind = writer.text(afterName.replace(/^:0/, ''));
    return writer.sequence(writer.text(':'), this.#chars(CALL_NUMBER), behind);
  }

  #chars(pattern: string): NodeId {
    return this.#writer.chars(textsOf(pattern, this.#writer.builder.budget));
  }
}

/** Brackets that one call opens and that its arguments leave open, as the texts that close them. */
const PAIRS: Readonly<Record<string, string>> = { '{': '}', '[': ']' };

/** The texts of one call. */
interface CallTexts {
  /** From the end of the call before, or of the beginning of a section or list, to the name. */
  readonly before: string;
  /** From the end of the arguments to the end of the call. */
  readonly behind: string;
}

/** The exact text from the beginning of a call that is not the first one to its name, and the text behind. */
function callTexts(format: CallFormat): CallTexts {
  const before = format.opening.slice(sectionLength(format));
  switch (format.style) {
    case 'json':
      return { before, behind: closers(before.slice(before.indexOf('{')) + format.afterName) };
    case 'pythonic':
      return { before, behind: ')' };
    case 'gemma':
      return { before, behind: '}' };
    default:
      return { before, behind: '' };
  }
}

/** UTF-16 units of `opening` that come once for all calls: the section, the bracket of a list, a wrapper. */
function sectionLength(format: CallFormat): number {
  const { opening, sectionOpen, callOpen, list } = format;
  if (format.style === 'json' && format.wrapper !== undefined) return opening.indexOf('[') + 1;
  if (list) return opening.indexOf('[', sectionOpen.length) + 1;
  if (sectionOpen === '') return 0;
  const at = callOpen === '' ? -1 : opening.indexOf(callOpen, sectionOpen.length);
  return at < 0 ? sectionOpen.length : at;
}

/** The text that closes the brackets of a beginning of JSON, outside of its strings. */
function closers(json: string): string {
  const open: string[] = [];
  for (const [unit] of json.matchAll(/"[^"]*"?|[\s\S]/g)) {
    const close = PAIRS[unit];
    if (close !== undefined) open.push(close);
    else if (unit === open.at(-1)) open.pop();
  }
  return open.reverse().join('');
}
