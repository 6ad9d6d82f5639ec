/**
 * The slots of the outputs of one job: notices that an output waits for an engine or a slot, gets one, loses
 * it and goes on, and narrates that. Must run inside the context of its request.
 */
import type { Step } from '../../bridge/sequence-inbox.ts';
import type { Note } from '../../protocol/messages.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { Job } from '../job.ts';
import type { Choice } from './choice.ts';
import type { GenerationNarrator } from './generation-narrator.ts';
import { Interruptions } from './interruptions.ts';

interface SlotParts {
  readonly job: Pick<Job, 'progress' | 'demand'>;
  readonly choices: readonly Choice[];
  readonly narrator: GenerationNarrator;
  readonly metrics: Pick<Metrics, 'interrupted' | 'resumed' | 'preempted'>;
}

export class Slots {
  readonly #parts: SlotParts;
  readonly #interruptions = new Interruptions();

  constructor(parts: SlotParts) {
    this.#parts = parts;
  }

  /** Milliseconds of the interruptions of the job. */
  get interruptedMs(): number {
    return this.#interruptions.totalMs;
  }

  /**
   * Adds a step of an output, before its tokens are added to the output.
   * @param narrates true for one of the outputs: a change of the queue concerns all of them
   */
  onStep(choice: Choice, { report, lost, interrupted, held, resumed }: Step, narrates: boolean): void {
    const { narrator, metrics, job } = this.#parts;
    if (lost !== undefined && narrates) narrator.requeued(lost);
    if (interrupted !== undefined) {
      this.#interruptions.lost(choice, interrupted, job.progress.tokensOut);
      choice.trace?.interrupted(choice.tokensOut, 'engine_lost');
      metrics.interrupted();
    }
    if (held) {
      this.#interruptions.held(choice);
      choice.trace?.interrupted(choice.tokensOut, 'held');
    }
    if (resumed) {
      this.#interruptions.resumed(choice, resumed);
      metrics.resumed();
    }
    if (lost !== undefined || interrupted !== undefined || held) this.#setSlot(choice, false);
    const isPreempted = report.notes.some(({ note }) => note === 'preempted');
    for (const note of report.notes) this.#onNote(choice, note, report.tokens.length, narrates);
    if (report.tokens.length > 0 && !isPreempted) choice.trace?.token(choice.tokensOut);
  }

  /**
   * Called when the sequence of an output has ended.
   * @param errorCode why, if the job has failed
   */
  ended(choice: Choice, errorCode?: string): void {
    choice.trace?.ended(choice.tokensOut, choice.finish ? undefined : errorCode);
    this.#interruptions.ended(choice);
    this.#parts.job.demand.ended(choice.firstSlot !== undefined);
  }

  /** @param tokens number of the tokens of the step. If it preempts the output, it had them before that. */
  #onNote(choice: Choice, note: Note, tokens: number, narrates: boolean): void {
    const { narrator, job } = this.#parts;
    if (note.note === 'preempted') {
      this.#interruptions.preempted(choice, note.tokens);
      if (tokens > 0) choice.trace?.token(choice.tokensOut);
      choice.trace?.interrupted(choice.tokensOut + tokens, 'preempted');
      this.#parts.metrics.preempted();
      this.#setSlot(choice, false);
    }
    if (note.note === 'started') {
      this.#setSlot(choice, true);
      this.#interruptions.started(choice);
      choice.trace?.started(note.slot, choice.inputTokens, note.cachedTokens);
      if (choice.firstSlot) return; // It goes on: its first token is narrated.
      choice.firstSlot = { queueMs: note.queueMs, cachedTokens: note.cachedTokens };
      job.demand.started();
    }
    if (narrates || note.note !== 'queued') narrator.note(note, choice.inputTokens);
  }

  #setSlot(choice: Choice, hasSlot: boolean): void {
    const { narrator, job, choices } = this.#parts;
    choice.hasSlot = hasSlot;
    job.progress.hasSlot = choices.some((one) => one.hasSlot && !one.finish);
    if (!hasSlot) narrator.queuesAgain();
  }
}
