/**
 * The tree of a conversation: an edit or another answer begins a branch, and earlier branches stay. Plain
 * data, so that it can be stored and exported. Pure.
 */
import type { ChatMessage } from '../../client/client.ts';
import type { Answer } from './answer.ts';

interface Place {
  readonly id: string;
  /** The turn before; empty for the first one. */
  readonly parent: string;
}

/** A message of the person. */
export interface UserTurn extends Place {
  readonly kind: 'user';
  readonly text: string;
}

/** The results of the tool calls of the answer before. */
export interface ResultsTurn extends Place {
  readonly kind: 'results';
  readonly results: readonly { readonly callId: string; readonly name: string; readonly content: string }[];
}

export interface AnswerTurn extends Place {
  readonly kind: 'answer';
  readonly answer: Answer;
}

export type Turn = UserTurn | ResultsTurn | AnswerTurn;
/** A turn before it has its place. */
export type NewTurn = Omit<UserTurn, keyof Place> | Omit<ResultsTurn, keyof Place> | Omit<AnswerTurn, keyof Place>;

/** The stored form of a conversation. */
export interface ConversationData {
  readonly turns: readonly Turn[];
  /** The chosen branch after each turn that has several. */
  readonly chosen: Readonly<Record<string, string>>;
}

export class Conversation {
  readonly #turns = new Map<string, Turn>();
  readonly #chosen = new Map<string, string>();
  #count = 0;

  constructor(data?: ConversationData) {
    for (const turn of data?.turns ?? []) this.#turns.set(turn.id, turn);
    for (const [parent, id] of Object.entries(data?.chosen ?? {})) this.#chosen.set(parent, id);
    this.#count = Math.max(0, ...[...this.#turns.keys()].map((id) => Number(id.slice(1)) || 0));
  }

  get data(): ConversationData {
    return { turns: [...this.#turns.values()], chosen: Object.fromEntries(this.#chosen) };
  }

  /** The turns of the chosen branches, from the first one. */
  get path(): readonly Turn[] {
    const path: Turn[] = [];
    for (let turn = this.#next(''); turn; turn = this.#next(turn.id)) path.push(turn);
    return path;
  }

  /** Adds a turn after another one (empty: as a first one), and chooses its branch. */
  add(parent: string, given: NewTurn): Turn {
    this.#count += 1;
    const turn = { ...given, id: `t${this.#count}`, parent } as Turn;
    this.#turns.set(turn.id, turn);
    this.#chosen.set(parent, turn.id);
    return turn;
  }

  get(id: string): Turn | undefined {
    return this.#turns.get(id);
  }

  /** The branches at the place of a turn: their number, and the index of the turn. */
  branches({ id, parent }: Turn): { readonly index: number; readonly ids: readonly string[] } {
    const ids = this.#after(parent).map((turn) => turn.id);
    return { index: ids.indexOf(id), ids };
  }

  /** Shows the branch of a turn. */
  choose({ id, parent }: Turn): void {
    this.#chosen.set(parent, id);
  }

  /** The messages up to a turn, it included, as a request has them. */
  messages(last: string, system: string): ChatMessage[] {
    const turns: Turn[] = [];
    for (let turn = this.#turns.get(last); turn; turn = this.#turns.get(turn.parent)) turns.unshift(turn);
    const messages = turns.flatMap(messagesOf);
    return system.trim() === '' ? messages : [{ role: 'system', content: system }, ...messages];
  }

  #after(parent: string): Turn[] {
    return [...this.#turns.values()].filter((turn) => turn.parent === parent);
  }

  #next(parent: string): Turn | undefined {
    const chosen = this.#turns.get(this.#chosen.get(parent) ?? '');
    // An imported file can choose a turn of another place, and then the path could be a circle.
    return chosen?.parent === parent ? chosen : this.#after(parent).at(-1);
  }
}

function messagesOf(turn: Turn): ChatMessage[] {
  if (turn.kind === 'user') return [{ role: 'user', content: turn.text }];
  if (turn.kind === 'results')
    return turn.results.map(({ callId, content }) => ({ role: 'tool', tool_call_id: callId, content }));
  const { text, calls } = turn.answer;
  const toolCalls = calls.map(({ id, name, arguments: text }) => ({
    id,
    type: 'function' as const,
    function: { name, arguments: text },
  }));
  return [{ role: 'assistant', content: text, ...(toolCalls.length > 0 && { tool_calls: toolCalls }) }];
}
