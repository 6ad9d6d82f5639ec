/** Emits the `token` events of one job, with their index. */
import type { EventLog } from '../event-log.ts';
import { type PartPiece, scoreFields } from './choice.ts';

export class TokenEvents {
  readonly #log: EventLog;
  readonly #tellsIds: boolean;
  #next: number;

  /**
   * @param tellsIds true: the events tell the ids of the output
   * @param first index of the first event
   */
  constructor(log: EventLog, tellsIds: boolean, first: number) {
    this.#log = log;
    this.#tellsIds = tellsIds;
    this.#next = first;
  }

  /** Index of the next event. */
  get next(): number {
    return this.#next;
  }

  /**
   * @param choice index of the output
   * @param tokensOut tokens of all outputs so far
   */
  emit(pieces: readonly PartPiece[], choice: number, tokensOut: number): void {
    for (const { part, tokens, ids = [] } of pieces) {
      this.#log.emit({
        type: 'token',
        t: 'text' in part ? part.text : '',
        i: this.#next,
        ...(this.#tellsIds && ids.length > 0 && { ids: [...ids] }),
        ...scoreFields(tokens),
        choice,
        part,
        tokensOut,
      });
      this.#next += 1;
    }
  }
}
