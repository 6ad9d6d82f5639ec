/**
 * Decides which sequences the engine has: usually all of them. After a loss, the next engine gets the
 * interrupted ones first, and then the waiting ones. While there are suspects, the engine has one sequence,
 * the tested suspect, and all others are held. Owns the worker's view of all sequences.
 */
import type { VocabularyData } from '../grammar/matching/vocabulary.ts';
import type { FromEngine, ToEngine } from '../protocol/messages.ts';
import { EngineLostError, type Loss } from './child.ts';
import type { Occupancy } from './occupancy.ts';
import { type RemoteSequence, SequenceInbox, type Silence } from './sequence-inbox.ts';
import { Suspects } from './suspects.ts';
import { VocabularyDelivery } from './vocabulary-delivery.ts';

/** Time for the engine to confirm a cancellation, longer than most steps. Then the caller stops waiting. */
export const CANCEL_MS = 1000;

/** The fate of the sequences with a slot when their engine is lost (`--on-engine-loss`). */
export type OnEngineLoss = 'resume' | 'fail';

/** The sequences that were in the engine when it was lost. */
export interface LostCounts {
  /** With a slot; the next engine continues them. */
  readonly interrupted: number;
  /** With a slot; each has failed with EngineLostError. */
  readonly failed: number;
  /** Without a slot; each waits for the next engine. */
  readonly waiting: number;
  /**
   * The last losses, with this one, that one sequence has caused: they do not count against the engine. 0 if
   * the cause is not known.
   */
  readonly explained: number;
}

/** The part of an engine process that receives messages. */
interface Receiver {
  send(message: ToEngine): void;
}

export class Submissions {
  readonly #mode: OnEngineLoss;
  readonly #inbox = new SequenceInbox((sequence) => this.#reported(sequence));
  readonly #suspects = new Suspects<RemoteSequence>();
  readonly #vocabulary = new VocabularyDelivery();
  /** The open engine; undefined while there is none. */
  #engine: Receiver | undefined;
  /** Why no engine is running at the moment. */
  #lost = 'no engine is running';
  /** True while a suspect is tested, and all other sequences are held. */
  #isTesting = false;

  constructor(mode: OnEngineLoss) {
    this.#mode = mode;
  }

  /** Counts of the sequences and their tokens. */
  get occupancy(): Occupancy {
    return this.#inbox.occupancy;
  }

  /** Sets the texts of the ids. Each engine gets them once, before its first sequence with a grammar. */
  setVocabulary(data: VocabularyData): void {
    this.#vocabulary.data = data;
  }

  /** Submits a sequence, or tells it why it must wait. */
  add(sequence: RemoteSequence): void {
    this.#inbox.add(sequence);
    if (!this.#engine) sequence.wait(this.#lost);
    else if (this.#isTesting) sequence.hold();
    else this.#send(sequence, this.#engine);
  }

  /** Returns the timer after which the sequence ends for its caller without the engine's confirmation. */
  cancel(sequence: RemoteSequence): NodeJS.Timeout | undefined {
    sequence.cancelled = true;
    if (!this.#engine || !sequence.inEngine) {
      if (!sequence.finished) sequence.end();
      this.#forget(sequence);
      return undefined;
    }
    this.#engine.send({ kind: 'cancel', id: sequence.request.id });
    return setTimeout(() => sequence.giveUp(), CANCEL_MS);
  }

  /** Called when the caller stops reading. The slot stays busy until the engine reports it free. */
  leave(sequence: RemoteSequence): void {
    const { request, finished, cancelled, inEngine } = sequence;
    sequence.leave();
    const isRunning = this.#engine !== undefined && inEngine && !finished;
    if (isRunning && !cancelled) this.#engine?.send({ kind: 'cancel', id: request.id });
    if (!isRunning) this.#inbox.remove(sequence);
    this.#forget(sequence);
  }

  /** Forwards a pause or its end. A sequence that no engine has is paused when it is submitted. */
  pause(sequence: RemoteSequence, paused: boolean): void {
    const { inEngine, request } = sequence;
    if (inEngine) this.#engine?.send({ kind: paused ? 'pause' : 'resume', id: request.id });
    if (this.#suspects.has(sequence)) this.#settle();
  }

  /** Reports a change of the engine's silence to every sequence that has not ended. */
  tell(silence: Silence): void {
    for (const sequence of this.#inbox.sequences) if (!sequence.finished) sequence.tell(silence);
  }

  /** Delivers a report at the end of this turn of the event loop. */
  put(report: Extract<FromEngine, { kind: 'report' }>): void {
    this.#inbox.put(report);
  }

  /** Submits the sequences to an engine that is open. */
  opened(engine: Receiver): void {
    this.#engine = engine;
    this.#settle();
  }

  /**
   * Called when the open engine was lost. Delivers its last reports. A sequence with a slot is interrupted,
   * or fails; the one that lost the engine alone fails.
   */
  lost(loss: Loss): LostCounts {
    this.#engine = undefined;
    this.#lost = loss.reason;
    this.#inbox.flush();
    const ran = [...this.#inbox.sequences].filter((sequence) => this.#ran(sequence));
    const isCulprit = this.#isTesting && ran.length === 1 && ran[0] === this.#suspects.alone;
    const culprit = isCulprit ? ran[0] : undefined;
    const verdict = culprit && this.#suspects.convict(culprit);
    if (!culprit && this.#mode === 'resume') this.#suspects.lost(ran);
    this.#isTesting = false;
    const counts = { interrupted: 0, failed: 0, waiting: 0 };
    for (const sequence of this.#inbox.sequences) {
      sequence.inEngine = false;
      if (sequence.callerLeft || sequence.cancelled) this.#suspects.forget(sequence);
      if (sequence.callerLeft) this.#inbox.remove(sequence);
      else if (sequence.finished) continue;
      else if (sequence.cancelled) sequence.end();
      else if (sequence === culprit || (sequence.hasSlot && this.#mode === 'fail')) {
        counts.failed += 1;
        sequence.fail(new EngineLostError(loss.reason, loss, sequence === culprit ? verdict?.losses : undefined));
      } else if (sequence.hasSlot) {
        counts.interrupted += 1;
        sequence.interrupt(loss.reason);
      } else {
        counts.waiting += 1;
        sequence.wait(loss.reason);
      }
    }
    return { ...counts, explained: verdict?.isEngineSuspected === false ? verdict.losses : 0 };
  }

  /**
   * Fails all sequences with the reason, because no other engine will start. A cancelled sequence ends as
   * cancelled: nobody will confirm it.
   */
  abandon(reason: string): void {
    this.#engine = undefined;
    for (const sequence of this.#inbox.sequences) {
      if (sequence.cancelled && !sequence.finished) sequence.giveUp();
      else sequence.fail(new EngineLostError(reason));
    }
  }

  /**
   * True if a sequence was in the steps of the lost engine. The engine may have been lost before it could
   * tell that the tested suspect has a slot.
   */
  #ran(sequence: RemoteSequence): boolean {
    const { inEngine, hasSlot, finished, paused } = sequence;
    const isTested = this.#isTesting && sequence === this.#suspects.alone;
    return inEngine && !finished && !paused && (hasSlot || isTested);
  }

  /** Called after each report of a sequence. */
  #reported(sequence: RemoteSequence): void {
    if (!sequence.finished) this.#suspects.progressed(sequence);
    else if (!sequence.cancelled && !sequence.callerLeft) this.#suspects.completed(sequence);
    else this.#suspects.forget(sequence);
    // The engine may confirm the cancel of a released sequence after the test: it is then sent again at once.
    if (this.#isTesting || (!sequence.inEngine && !sequence.finished)) this.#settle();
  }

  /** Forgets a sequence that has ended. It may have been the tested suspect. */
  #forget(sequence: RemoteSequence): void {
    if (this.#suspects.size === 0 && !this.#isTesting) return;
    this.#suspects.forget(sequence);
    this.#settle();
  }

  /** Brings the engine to the state in which it has the right sequences, as far as is possible at once. */
  #settle(): void {
    const engine = this.#engine;
    if (!engine) return;
    const alone = this.#suspects.alone;
    this.#isTesting = alone !== undefined;
    if (alone) this.#sendAlone(alone, engine);
    else this.#sendAll(engine);
  }

  /**
   * Sends the suspect when the engine has no other sequence. The others are cancelled there, and are
   * continued later: a pause would keep their slots, which the suspect may need.
   */
  #sendAlone(alone: RemoteSequence, engine: Receiver): void {
    let isBusy = false;
    for (const sequence of this.#inbox.sequences) {
      if (sequence === alone || sequence.finished) continue;
      if (!sequence.inEngine) {
        sequence.hold();
        continue;
      }
      isBusy = true;
      if (sequence.isLeaving) continue;
      sequence.release();
      engine.send({ kind: 'cancel', id: sequence.request.id });
    }
    if (!isBusy && !alone.inEngine) this.#send(alone, engine);
  }

  /**
   * Sends all sequences that the engine does not have: first the ones that had a slot, then the others, both
   * in order of arrival.
   */
  #sendAll(engine: Receiver): void {
    const held = [...this.#inbox.sequences].filter(
      (sequence) => !sequence.inEngine && !sequence.finished && !this.#suspects.has(sequence),
    );
    for (const sequence of held) if (sequence.began) this.#send(sequence, engine);
    for (const sequence of held) if (!sequence.began) this.#send(sequence, engine);
  }

  /** Sends a sequence to the engine, and then its pause if it is paused. */
  #send(sequence: RemoteSequence, engine: Receiver): void {
    const request = sequence.submitted();
    this.#vocabulary.sendBefore(request, engine);
    engine.send({ kind: 'submit', request });
    if (sequence.paused) engine.send({ kind: 'pause', id: request.id });
  }
}
