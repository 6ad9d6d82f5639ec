/** The actions of a person on a turn of the conversation. */
import type { AnswerTurn, ResultsTurn, Turn, UserTurn } from '../state/conversation.ts';

export interface Actions {
  /** Begins a branch with another text. False if that is not possible now. */
  readonly edit: (turn: UserTurn, text: string) => boolean;
  /** Begins a branch with another answer to the same message. */
  readonly regenerate: (turn: AnswerTurn) => void;
  /** Sends the results of the tool calls of an answer. */
  readonly sendResults: (turn: AnswerTurn, results: ResultsTurn['results']) => void;
  /** Shows the branch that is `by` places further. */
  readonly branch: (turn: Turn, by: number) => void;
  readonly showStory: (turn: AnswerTurn) => void;
}

/** The view of one turn. */
export interface TurnView {
  readonly element: HTMLElement;
  /** Draws the turn again. */
  readonly update: (state: TurnState) => void;
}

/** Facts about a turn that its view shows. */
export interface TurnState {
  readonly branch: { readonly index: number; readonly count: number };
  /** True if the panel shows the story of this turn. */
  readonly isTold: boolean;
  /** True if an answer runs, so that no other one can begin. */
  readonly isBusy: boolean;
  /** True if a turn follows. */
  readonly isFollowed: boolean;
}
