/** Sends the vocabulary to each engine process that needs it, once. */
import type { VocabularyData } from '../grammar/matching/vocabulary.ts';
import type { SequenceRequest, ToEngine } from '../protocol/messages.ts';

/** The part of an engine process that receives messages. */
interface Receiver {
  send(message: ToEngine): void;
}

export class VocabularyDelivery {
  /** Absent until the worker has prepared it; a sequence with a grammar then fails in the engine. */
  data: VocabularyData | undefined;
  readonly #reached = new WeakSet<Receiver>();

  /** Sends the vocabulary if this sequence is the first one with a grammar for this process. */
  sendBefore({ grammar }: SequenceRequest, engine: Receiver): void {
    if (!grammar || !this.data || this.#reached.has(engine)) return;
    engine.send({ kind: 'vocabulary', data: this.data });
    this.#reached.add(engine);
  }
}
