/**
 * The output of a run as text: the answer, and beside it the reasoning and the tool calls, each from a line
 * of its own. Pure.
 */
import type { StreamEvent } from '../../../contract/events.ts';
import { ModelText, type Style } from '../../terminal.ts';
import type { TextPiece } from './pane.ts';

type Token = Extract<StreamEvent, { type: 'token' }>;

const STYLES: Readonly<Record<NonNullable<Token['part']>, Style>> = {
  reasoning: 'dim',
  tool_name: 'cyan',
  tool_arguments: 'cyan',
};
const CALL = '→ ';

export class OutputFlow {
  #text = new ModelText();
  #part: Token['part'];
  #hasText = false;
  #endsLine = true;

  /** The pieces for a token. */
  next({ part, t }: Token): readonly TextPiece[] {
    const pieces: TextPiece[] = [];
    if (this.#hasText && this.#changesTo(part)) pieces.push(...this.#break(part));
    this.#part = part;
    if (part === 'tool_name') this.#text = new ModelText();
    pieces.push(this.#piece(part, part === 'tool_name' ? `${CALL}${t} ` : t));
    return pieces;
  }

  /** True if the next part begins on a line of its own. */
  #changesTo(part: Token['part']): boolean {
    return part === 'tool_name' || (part !== this.#part && part !== 'tool_arguments');
  }

  #break(part: Token['part']): readonly TextPiece[] {
    this.#text = new ModelText();
    const style = this.#part === undefined && part === undefined ? undefined : 'dim';
    const feeds = `${this.#endsLine ? '' : '\n'}${this.#part === 'reasoning' ? '\n' : ''}`;
    return feeds === '' ? [] : [{ text: { sequence: feeds }, ...(style && { style }) }];
  }

  #piece(part: Token['part'], text: string): TextPiece {
    const clean = this.#text.next(text);
    this.#hasText = true;
    if (clean.sequence !== '') this.#endsLine = clean.sequence.endsWith('\n');
    return { text: clean, ...(part !== undefined && { style: STYLES[part] }) };
  }
}
