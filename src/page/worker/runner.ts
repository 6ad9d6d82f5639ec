/** Runs the answers of a page: starts, resumes and stops them, and reports every change. */
import type { ChatMessage, JobRequest, WorkerClient } from '../../client/client.ts';
import type { Run } from '../../client/run.ts';
import { type Answer, addEvent, endWith } from '../state/answer.ts';
import type { AnswerTurn } from '../state/conversation.ts';

export interface RunnerParts {
  readonly client: () => WorkerClient;
  /** Called after every event, and at the end. */
  readonly changed: (turn: AnswerTurn) => void;
}

/** Milliseconds for which a lost connection is restored. The banner tells that the worker does not answer. */
const RESUME_MS = 120_000;

/** The clock of the page in milliseconds since 1970, with fractions. */
export const now = (): number => performance.timeOrigin + performance.now();

interface Active {
  readonly turn: AnswerTurn;
  readonly run: Run;
  readonly abort: AbortController;
}

export class Runner {
  readonly #parts: RunnerParts;
  #active: Active | undefined;

  constructor(parts: RunnerParts) {
    this.#parts = parts;
  }

  /** The answer that runs, if any. */
  get turn(): AnswerTurn | undefined {
    return this.#active?.turn;
  }

  /** Sends a request. Resolves at the end of the answer; errors become its failure. */
  start(turn: AnswerTurn, messages: readonly ChatMessage[], request: Partial<JobRequest>): Promise<void> {
    const abort = new AbortController();
    const body = { ...request, job_id: turn.answer.jobId };
    const run = this.#parts.client().chat(messages, body, { isNewId: true, ...options(abort) });
    return this.#read({ turn, abort, run });
  }

  /** Reads on after the last event that the page has, for example after a reload. */
  resume(turn: AnswerTurn): Promise<void> {
    const abort = new AbortController();
    const { jobId, lastEventId } = turn.answer;
    return this.#read({
      turn,
      abort,
      run: this.#parts.client().attach(jobId, { after: lastEventId, ...options(abort) }),
    });
  }

  /** Stops the answer that runs. */
  async stop(): Promise<void> {
    const active = this.#active;
    if (!active) return;
    const { turn, run, abort } = active;
    // Without an event the worker may not know the job yet: the abort ends the request, and cancels the job.
    if (turn.answer.lastEventId === undefined) {
      abort.abort(new Error('stopped'));
      await this.#parts.client().cancel(turn.answer.jobId).catch(ignore);
    } else await run.cancel().catch(() => abort.abort(new Error('stopped')));
  }

  async #read(active: Active): Promise<void> {
    const { turn, run, abort } = active;
    const { answer } = turn;
    this.#active = active;
    this.#parts.changed(turn);
    try {
      for await (const event of run) {
        addEvent(answer, event, now());
        if (run.lastEventId !== undefined) answer.lastEventId = run.lastEventId;
        this.#parts.changed(turn);
      }
      if (answer.status === 'running') endWith(answer, new Error('The stream ended without its last event.'), now());
    } catch (error) {
      end(answer, error, abort.signal);
    } finally {
      if (this.#active === active) this.#active = undefined;
      this.#parts.changed(turn);
    }
  }
}

const options = ({ signal }: AbortController) => ({ signal, resumeForMs: RESUME_MS });

/** A worker that does not know the job has nothing to cancel. */
function ignore(): void {}

function end(answer: Answer, error: unknown, { aborted }: AbortSignal): void {
  if (aborted) {
    answer.status = 'stopped';
    answer.story.endedAt ??= Math.max(0, now() - answer.story.sentAt);
  } else endWith(answer, error, now());
}
