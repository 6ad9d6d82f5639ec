/**
 * The spans of one request: a SERVER span from its head to the end of its answer and of its job, with the
 * narration as events, and the phases of each output as children.
 */
import { randomBytes } from 'node:crypto';
import { type EndFacts, endAttributes, type JobFacts, jobAttributes, type Operation } from './gen-ai.ts';
import { OpenSpan, SpanClock, type SpanLimits } from './open-span.ts';
import { OutputTrace } from './output-trace.ts';
import { type Attributes, type FinishedSpan, SPAN_KINDS, type SpanContext, type SpanParent } from './span.ts';
import type { SpanRank } from './span-queue.ts';

/** Outputs of a request with spans of their own. A request can have hundreds of outputs. */
export const MAX_TRACED_OUTPUTS = 16;

/** Reports of progress: the first events to be dropped above the limit. */
const MINOR_EVENTS: ReadonlySet<string> = new Set(['prefill.progress', 'queue.moved']);
/** Not recorded: its cost grows with the tokens. With it, a token took 91 µs of the event loop, not 86 µs. */
const TOKEN_EVENT = 'tokens.progress';

export const newSpanId = (): string => randomBytes(8).toString('hex');

export interface RequestTraceParts {
  readonly context: SpanContext;
  readonly parent: SpanParent | undefined;
  readonly operation: Operation;
  readonly model: () => string;
  readonly limits: SpanLimits;
  /** Receives each finished span. Undefined: the request is not sampled. */
  readonly emit: ((span: FinishedSpan, rank: SpanRank) => void) | undefined;
}

export class RequestTrace {
  readonly #parts: RequestTraceParts;
  readonly #startedAt = performance.now();
  readonly #clock = new SpanClock(this.#startedAt);
  readonly #span: OpenSpan;
  #operation: Operation;
  #outputs = 0;
  #isStream = false;
  #hasFirstToken = false;
  #outcome: EndFacts['outcome'] | undefined;
  #errorCode: string | undefined;
  #answered = false;
  /** True while the request has a job that has not ended. */
  #jobRuns = false;

  constructor(parts: RequestTraceParts) {
    this.#parts = parts;
    this.#operation = parts.operation;
    this.#span = new OpenSpan({
      context: parts.context,
      parent: parts.parent,
      name: parts.operation,
      kind: SPAN_KINDS.server,
      at: this.#startedAt,
      clock: this.#clock,
      limits: parts.limits,
    });
  }

  get traceId(): string {
    return this.#parts.context.traceId;
  }

  /** Id of the SERVER span. */
  get spanId(): string {
    return this.#parts.context.spanId;
  }

  /** True if the spans are exported. */
  get isRecording(): boolean {
    return this.#parts.emit !== undefined;
  }

  set(attributes: Attributes): void {
    if (this.isRecording) this.#span.set(attributes);
  }

  /** True if the SERVER span has this event. */
  records(event: string): boolean {
    return this.isRecording && event !== TOKEN_EVENT;
  }

  /** Adds a narration as an event of the SERVER span. */
  narrated(event: string, facts: Attributes): void {
    if (this.isRecording && !this.#answeredAll) this.#span.event(event, facts, MINOR_EVENTS.has(event));
  }

  /** The request is a job now: the span ends with it, or with the answer if that is later. */
  accepted(facts: JobFacts): void {
    this.#jobRuns = true;
    this.#operation = facts.operation;
    this.set(jobAttributes(facts, this.#parts.model()));
  }

  /** @param isStream true if the answer is a stream */
  answersAs(isStream: boolean): void {
    this.#isStream = isStream;
    this.set({ 'gen_ai.request.stream': isStream });
  }

  /** The request is refused, before a job or instead of its answer. @param code code of the error */
  refused(code: string): void {
    this.#errorCode = code.toLowerCase();
  }

  /** The phases of an output, which begins to wait for a slot. Undefined if they are not recorded. */
  output(index: number): OutputTrace | undefined {
    if (!this.isRecording) return undefined;
    this.#outputs += 1;
    if (this.#outputs > MAX_TRACED_OUTPUTS) return undefined;
    return new OutputTrace(
      {
        begin: (phase) =>
          new OpenSpan({
            context: { ...this.#parts.context, spanId: newSpanId() },
            parent: { spanId: this.spanId, isRemote: false },
            name: phase,
            kind: SPAN_KINDS.internal,
            at: performance.now(),
            clock: this.#clock,
            limits: this.#parts.limits,
          }),
        end: (span) => this.#parts.emit?.(span.end(performance.now()), 'job'),
        onToken: () => this.#onToken(),
      },
      index,
    );
  }

  /** The job has its last event. */
  finished(facts: EndFacts): void {
    this.#outcome = facts.outcome;
    if (facts.errorCode !== undefined) this.#errorCode = facts.errorCode.toLowerCase();
    this.set(endAttributes(facts));
  }

  /** The job is over. */
  released(): void {
    this.#jobRuns = false;
    this.#endIfOver();
  }

  /**
   * The connection has the whole answer, or was closed.
   * @param status HTTP status; undefined if the client left before it was sent
   */
  answered(status: number | undefined): void {
    if (this.#answered) return;
    this.#answered = true;
    this.set({ 'http.response.status_code': status });
    // The HTTP conventions: for a server, a status below 500 is no failure of the span.
    if (status !== undefined && status >= 500) this.#span.fail(this.#errorCode ?? String(status));
    this.#endIfOver();
  }

  get #answeredAll(): boolean {
    return this.#answered && !this.#jobRuns;
  }

  #onToken(): void {
    if (this.#hasFirstToken || !this.#isStream) return;
    this.#hasFirstToken = true;
    this.set({ 'gen_ai.response.time_to_first_chunk': (performance.now() - this.#startedAt) / 1000 });
  }

  #endIfOver(): void {
    if (!this.#answeredAll || !this.#parts.emit) return;
    const code = this.#errorCode;
    const outcome = this.#outcome ?? (code === undefined ? 'abandoned' : 'refused');
    if (outcome === 'error' || outcome === 'timeout') this.#span.fail(code ?? outcome);
    else if (code !== undefined) this.#span.set({ 'error.type': code });
    if (this.#outputs > MAX_TRACED_OUTPUTS)
      this.#span.set({ 'rbees.outputs_without_spans': this.#outputs - MAX_TRACED_OUTPUTS });
    this.#span.set({ 'rbees.outcome': outcome });
    this.#span.name = `${this.#operation} ${this.#parts.model()}`;
    this.#parts.emit(this.#span.end(performance.now()), this.#outcome ? 'job' : 'refusal');
  }
}
